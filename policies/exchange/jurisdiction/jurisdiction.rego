package exchange

jurisdiction := input.consumer.attributes.jurisdiction.value

jurisdiction_known if is_string(jurisdiction)

jurisdiction_allowed if jurisdiction in input.offering.jurisdictions

jurisdiction_allowed if on_sandbox

declare_jurisdiction := [remedy |
	not jurisdiction_known
	remedy := {"code": "declare_attribute", "params": {"attribute": "jurisdiction"}}
]

# METADATA
# title: The requester's jurisdiction is known
# description: >-
#   Where it is not stated, nothing is assumed in the requester's favour. A sandbox does not ask.
deny contains finding if {
	not on_sandbox
	not jurisdiction_known
	finding := {
		"reason": {"code": "jurisdiction_unknown", "params": {}},
		"remedies": declare_jurisdiction,
	}
}

# METADATA
# title: A jurisdiction that the platform allows
# description: The offering lists the jurisdictions (ISO 3166-1 alpha-2) that it is open to.
deny contains finding if {
	jurisdiction_known
	not jurisdiction_allowed
	finding := {
		"reason": {"code": "jurisdiction_not_allowed", "params": {"jurisdiction": jurisdiction}},
		"remedies": [],
	}
}
