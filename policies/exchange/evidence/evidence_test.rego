package exchange_test

import data.exchange

test_stronger_is_enough if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes.headcount.evidence as "certified"
	answer.decision == "permit"
}

test_too_low if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes.headcount.evidence as "self_declared"
	denied_only(answer, "evidence_too_low", {
		"attribute": "headcount",
		"evidence": "self_declared",
		"level": "verified",
	})
	answer.remedies == [{
		"code": "raise_evidence",
		"params": {"attribute": "headcount", "level": "verified"},
	}]
}

test_each_attribute_used_is_named if {
	answer := exchange.decision with input as sample with input.offering.min_evidence as "certified"
	{reason.params.attribute | some reason in answer.reasons} == {
		"jurisdiction", "industry",
		"headcount", "revenue_cny_10k",
	}
}

test_attributes_not_used_do_not_matter if {
	assets := {"value": 1, "evidence": "self_declared"}
	answer := exchange.decision with input as sample
		with input.consumer.attributes.assets_cny_10k as assets
	answer.decision == "permit"
	open := exchange.decision with input as sample
		with input.offering.sizes as ["micro", "small", "medium", "large"]
		with input.consumer.attributes.headcount.evidence as "self_declared"
	open.decision == "permit"
}

test_wrong_levels_are_denied if {
	every wrong in ["", "Certified", 2, true, null] {
		given := exchange.decision with input as sample
			with input.consumer.attributes.industry.evidence as wrong
		given.decision == "deny"
		asked := exchange.decision with input as sample with input.offering.min_evidence as wrong
		asked.decision == "deny"
	}
}
