package exchange_test

import data.exchange

waiting(answer, code) if {
	answer == {
		"decision": "needs_approval",
		"reasons": [{"code": code, "params": {}}],
		"remedies": [],
		"obligations": {},
	}
}

by_approver := [{"by": "mbr_approver", "at": 1767225000}]

test_provider_approves if {
	waiting(exchange.decision, "approval_required_provider") with input as sample
		with input.offering.approval as "provider"
	exchange.decision.decision == "permit" with input as sample
		with input.offering.approval as "provider"
		with input.approvals as by_approver
}

test_important_data if {
	waiting(exchange.decision, "approval_required_important") with input as sample
		with input.offering.classification as "important"
	exchange.decision.decision == "permit" with input as sample
		with input.offering.classification as "important"
		with input.approvals as by_approver
}

test_sensitive_personal_information if {
	waiting(exchange.decision, "approval_required_sensitive") with input as sample
		with input.offering.personal_information as "sensitive"
	exchange.decision.decision == "permit" with input as sample
		with input.offering.personal_information as "sensitive"
		with input.approvals as by_approver
}

test_nobody_approves_their_own if {
	waiting(exchange.decision, "approval_required_provider") with input as sample
		with input.offering.approval as "provider"
		with input.approvals as [{"by": "org_consumer", "at": 1767225000}]
}

test_wrong_types_never_permit if {
	every wrong in ["", "Automatic", true, null, ["automatic"]] {
		answer := exchange.decision with input as sample with input.offering.approval as wrong
		answer.decision != "permit"
	}
	every wrong in ["mbr_approver", [], [{}], ["mbr_approver"], null] {
		answer := exchange.decision with input as sample
			with input.offering.approval as "provider"
			with input.approvals as wrong
		answer.decision == "needs_approval"
	}
}

test_four_eyes_are_two_people if {
	one := {"by": "mbr_one", "at": 1767225000}
	two := {"by": "mbr_two", "at": 1767225100}
	every approvals in [[], [one], [one, one], [one, {"by": "org_consumer", "at": 1767225100}]] {
		waiting(exchange.decision, "approval_required_provider") with input as sample
			with input.offering.approval as "provider"
			with input.offering.approvers as 2
			with input.approvals as approvals
	}
	exchange.decision.decision == "permit" with input as sample
		with input.offering.approval as "provider"
		with input.offering.approvers as 2
		with input.approvals as [one, two]
}

test_wrong_numbers_of_approvers_never_permit if {
	every wrong in [0, -1, "1", null, true, [1]] {
		answer := exchange.decision with input as sample
			with input.offering.approval as "provider"
			with input.offering.approvers as wrong
			with input.approvals as by_approver
		answer.decision == "needs_approval"
	}
}
