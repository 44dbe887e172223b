package exchange_test

import data.exchange

test_personal_information_abroad if {
	every kind in {"personal", "sensitive"} {
		answer := exchange.decision with input as sample
			with input.consumer.attributes.jurisdiction.value as "SG"
			with input.offering.personal_information as kind
		denied_only(answer, "personal_information_export", {"personal_information": kind})
		answer.remedies == []
	}
}

test_personal_information_in_the_country if {
	answer := exchange.decision with input as sample
		with input.offering.personal_information as "personal"
	answer.decision == "permit"
}

test_unknown_jurisdiction_counts_as_abroad if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes as nowhere
		with input.offering.personal_information as "personal"
	denied(answer, "personal_information_export")
	answer.remedies == [{"code": "declare_attribute", "params": {"attribute": "jurisdiction"}}]
}

test_important_data_abroad_though_approved if {
	answer := exchange.decision with input as sample
		with input.consumer.attributes.jurisdiction.value as "SG"
		with input.offering.classification as "important"
		with input.approvals as [{"by": "mbr_approver", "at": 1}]
	denied_only(answer, "important_data_export", {})
}

test_wrong_type_counts_as_personal if {
	every wrong in [true, 0, null, ["none"]] {
		answer := exchange.decision with input as sample
			with input.consumer.attributes.jurisdiction.value as "SG"
			with input.offering.personal_information as wrong
		denied(answer, "personal_information_export")
	}
}
