package exchange_test

import data.exchange

test_suspended_consumer if {
	answer := exchange.decision with input as sample with input.consumer.status as "suspended"
	denied_only(answer, "consumer_not_active", {"status": "suspended"})
	answer.remedies == []
}

test_suspended_provider if {
	answer := exchange.decision with input as sample with input.provider.status as "suspended"
	denied_only(answer, "provider_not_active", {"status": "suspended"})
}

test_role_missing if {
	answer := exchange.decision with input as sample with input.consumer.roles as ["platform"]
	denied_only(answer, "consumer_role_missing", {"role": "sme"})
}

test_self_request if {
	answer := exchange.decision with input as sample with input.provider.id as "org_consumer"
	denied_only(answer, "self_request", {})
}

test_wrong_types_are_denied if {
	every wrong in [true, 1, ["active"], {"active": true}, null] {
		consumer := exchange.decision with input as sample with input.consumer.status as wrong
		denied(consumer, "consumer_not_active")
		provider := exchange.decision with input as sample with input.provider.status as wrong
		denied(provider, "provider_not_active")
	}
	every wrong in ["sme", true, [["sme"]], null] {
		roles := exchange.decision with input as sample with input.consumer.roles as wrong
		denied(roles, "consumer_role_missing")
	}
}
