package exchange

within_country if jurisdiction == "CN"

no_personal_information if input.offering.personal_information == "none"

general_data if input.offering.classification == "general"

export_settled if within_country

export_settled if {
	no_personal_information
	general_data
}

# METADATA
# title: Personal information stays in the country
# description: >-
#   Provisions on Promoting and Regulating Cross-border Data Flows (CAC Order 16, 2024) and
#   Personal Information Protection Law, arts. 38 and 39: an export needs an exemption, a standard
#   contract, a certification or an assessment, and the person's separate consent. No such path is
#   established here yet, and a jurisdiction that is not stated counts as abroad. Check against the
#   official text.
deny contains finding if {
	not no_personal_information
	not within_country
	kind := input.offering.personal_information
	finding := {
		"reason": {"code": "personal_information_export", "params": {"personal_information": kind}},
		"remedies": declare_jurisdiction,
	}
}

# METADATA
# title: Important data stays in the country
# description: >-
#   CAC Order 16 (2024): any export of important data needs an assessment by the Cyberspace
#   Administration. No such path is established here yet. Check against the official text.
deny contains finding if {
	classification_shareable
	not general_data
	not within_country
	finding := {
		"reason": {"code": "important_data_export", "params": {}},
		"remedies": declare_jurisdiction,
	}
}
