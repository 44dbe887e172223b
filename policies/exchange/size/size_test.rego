package exchange_test

import data.exchange

figures(industry, numbers) := object.union(
	{
		"jurisdiction": {"value": "CN", "evidence": "verified"},
		"industry": {"value": industry, "evidence": "verified"},
	},
	{name: {"value": number, "evidence": "verified"} | some name, number in numbers},
)

vectors := [
	["industry", {"headcount": 1200, "revenue_cny_10k": 10000}, "medium"],
	["industry", {"headcount": 250, "revenue_cny_10k": 50000}, "small"],
	["industry", {"headcount": 10, "revenue_cny_10k": 50000}, "micro"],
	["industry", {"headcount": 1000, "revenue_cny_10k": 40000}, "large"],
	["software_it_services", {"headcount": 300, "revenue_cny_10k": 9999}, "medium"],
	["real_estate_development", {"revenue_cny_10k": 150000, "assets_cny_10k": 20000}, "medium"],
	["agriculture", {"revenue_cny_10k": 50}, "small"],
	["agriculture", {"revenue_cny_10k": 49}, "micro"],
	["other", {"headcount": 300}, "large"],
	["other", {"headcount": 0}, "micro"],
]

test_classes if {
	every vector in vectors {
		[industry, numbers, class] := vector
		exchange.size_class == class with input as sample
			with input.consumer.attributes as figures(industry, numbers)
	}
}

test_large_is_not_allowed_and_nothing_to_change if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes as figures("other", {"headcount": 300})
	denied_only(answer, "size_not_allowed", {"size": "large"})
	answer.remedies == []
}

test_unknown_figures_are_named if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes as figures("industry", {"assets_cny_10k": 1})
	answer.reasons == [
		{"code": "size_unknown", "params": {"attribute": "headcount"}},
		{"code": "size_unknown", "params": {"attribute": "revenue_cny_10k"}},
	]
	[remedy.code | some remedy in answer.remedies] == ["declare_attribute", "declare_attribute"]
}

test_unknown_industry if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes as {"jurisdiction": sample.consumer.attributes.jurisdiction}
	denied_only(answer, "size_unknown", {"attribute": "industry"})
}

test_open_to_every_size if {
	answer := exchange.decision with input as sample
		with input.offering.sizes as ["micro", "small", "medium", "large"]
		with input.consumer.attributes as {"jurisdiction": sample.consumer.attributes.jurisdiction}
	answer.decision == "permit"
}

test_wrong_types_are_denied_at_size if {
	every wrong in ["42", true, null, [42]] {
		answer := exchange.decision with input as sample
			with input.consumer.attributes.headcount.value as wrong
		answer.decision == "deny"
	}
	every wrong in ["", "Other", 1, null] {
		answer := exchange.decision with input as sample
			with input.consumer.attributes.industry.value as wrong
		answer.decision == "deny"
	}
	every wrong in [[], "medium", null, true] {
		answer := exchange.decision with input as sample with input.offering.sizes as wrong
		denied(answer, "size_not_allowed")
	}
}
