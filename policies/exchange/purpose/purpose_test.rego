package exchange_test

import data.exchange

test_other_purpose if {
	answer := exchange.decision with input as sample with input.request.purpose as "market_analysis"
	denied_only(answer, "purpose_not_allowed", {"purpose": "market_analysis"})
	answer.remedies == [{
		"code": "choose_purpose",
		"params": {"purposes": ["logistics_planning", "scientific_research"]},
	}]
}

test_purpose_outside_the_list_is_denied_though_offered if {
	answer := exchange.decision with input as sample
		with input.offering.purposes as ["anything"]
		with input.request.purpose as "anything"
	denied_only(answer, "purpose_not_allowed", {"purpose": "anything"})
	answer.remedies == []
}

test_wrong_purpose_is_denied if {
	every wrong in ["", 0, true, null, ["logistics_planning"]] {
		answer := exchange.decision with input as sample with input.request.purpose as wrong
		denied(answer, "purpose_not_allowed")
	}
	answer := exchange.decision with input as sample
		with input.offering.purposes as "logistics_planning"
	denied(answer, "purpose_not_allowed")
}
