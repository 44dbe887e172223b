package exchange

# What the offering allows, as far as the exchange knows the purpose at all.
purposes_allowed := {purpose |
	some purpose in input.offering.purposes
	purpose in data.purposes
}

purpose_allowed if input.request.purpose in purposes_allowed

# METADATA
# title: An explicit purpose, and one that the platform allows
# description: >-
#   The purpose is one of the exchange's list and of the offering's own. Personal Information
#   Protection Law, art. 6 (explicit purpose, minimum necessary); Network Data Security
#   Regulations (the contract fixes the purpose); check against the official text.
deny contains finding if {
	not purpose_allowed
	purpose := input.request.purpose
	remedies := [remedy |
		count(purposes_allowed) > 0
		remedy := {"code": "choose_purpose", "params": {"purposes": sort(purposes_allowed)}}
	]
	finding := {
		"reason": {"code": "purpose_not_allowed", "params": {"purpose": purpose}},
		"remedies": remedies,
	}
}
