package exchange

# Only what a rule reads is asked for: the size's attributes where size matters, and on a sandbox
# none at all.
attributes_used contains "jurisdiction" if not on_sandbox

attributes_used contains attribute if some attribute in size_attributes

evidence_sufficient if {
	least := data.evidence[input.offering.min_evidence]
	every attribute in attributes_used {
		data.evidence[input.consumer.attributes[attribute].evidence] >= least
	}
}

# METADATA
# title: Evidence as strong as the platform asks for
# description: >-
#   Every attribute that the decision reads is self-declared, verified or certified, in this order;
#   the offering says which it asks for at least.
deny contains finding if {
	some attribute in attributes_used
	evidence := input.consumer.attributes[attribute].evidence
	level := input.offering.min_evidence
	data.evidence[evidence] < data.evidence[level]
	finding := {
		"reason": {
			"code": "evidence_too_low",
			"params": {"attribute": attribute, "evidence": evidence, "level": level},
		},
		"remedies": [{"code": "raise_evidence", "params": {"attribute": attribute, "level": level}}],
	}
}
