package exchange_test

import data.exchange

test_each_kind_has_actions if {
	every kind, action in {"dataset": "read", "compute": "call", "technology": "call"} {
		answer := exchange.decision with input as sample
			with input.offering.kind as kind
			with input.request.actions as [action]
		answer.decision == "permit"
	}
}

test_action_of_another_kind if {
	answer := exchange.decision with input as sample with input.request.actions as ["read", "call"]
	denied_only(answer, "action_not_supported", {"action": "call", "kind": "dataset"})
	answer.remedies == [{"code": "choose_action", "params": {"actions": ["read"]}}]
}

test_no_action_and_no_kind_are_denied if {
	every wrong in [[], "read", null, true, 1] {
		answer := exchange.decision with input as sample with input.request.actions as wrong
		answer.decision == "deny"
	}
	every wrong in ["other", 1, null, true] {
		answer := exchange.decision with input as sample with input.offering.kind as wrong
		denied(answer, "action_not_supported")
	}
}
