package exchange_test

import data.exchange

nowhere := object.remove(sample.consumer.attributes, {"jurisdiction"})

test_allowed_abroad if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes.jurisdiction.value as "SG"
	answer.decision == "permit"
}

test_not_allowed_and_nothing_to_change if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes.jurisdiction.value as "FR"
	denied_only(answer, "jurisdiction_not_allowed", {"jurisdiction": "FR"})
	answer.remedies == []
}

test_unknown if {
	answer := exchange.decision with input as sample with input.consumer.attributes as nowhere
	denied_only(answer, "jurisdiction_unknown", {})
	answer.remedies == [{"code": "declare_attribute", "params": {"attribute": "jurisdiction"}}]
}

test_wrong_types_are_unknown if {
	every wrong in [true, 86, ["CN"], null, {"CN"}] {
		answer := exchange.decision with input as sample
			with input.consumer.attributes.jurisdiction.value as wrong
		denied(answer, "jurisdiction_unknown")
	}
	answer := exchange.decision with input as sample with input.offering.jurisdictions as "CN"
	denied(answer, "jurisdiction_not_allowed")
}
