package exchange_test

import data.exchange

test_not_published if {
	every status in {"draft", "suspended", "withdrawn"} {
		answer := exchange.decision with input as sample with input.offering.status as status
		denied_only(answer, "offering_not_published", {"status": status})
	}
}

test_core_data_is_denied_even_when_approved if {
	answer := exchange.decision with input as sample
		with input.offering.classification as "core"
		with input.approvals as [{"by": "mbr_approver", "at": 1}]
	denied_only(answer, "classification_core", {})
}

test_unknown_or_wrong_grade_counts_as_core if {
	every wrong in ["", "General", true, 0, null, ["general"]] {
		answer := exchange.decision with input as sample
			with input.offering.classification as wrong
		denied(answer, "classification_core")
	}
}

test_wrong_status_is_denied if {
	every wrong in [true, 1, ["published"], null] {
		answer := exchange.decision with input as sample with input.offering.status as wrong
		denied(answer, "offering_not_published")
	}
}
