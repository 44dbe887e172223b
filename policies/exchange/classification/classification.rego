package exchange

offering_published if input.offering.status == "published"

classification_shareable if input.offering.classification in {"general", "important"}

# METADATA
# title: Only what is published
# description: A draft is not offered yet; what was withdrawn is not offered any more.
deny contains finding if {
	not offering_published
	status := input.offering.status
	finding := {"reason": {"code": "offering_not_published", "params": {"status": status}}, "remedies": []}
}

# METADATA
# title: Core data is never shared here
# description: >-
#   Data whose leak would harm national security seriously, or the economy, social order or public
#   interest very seriously. GB/T 43697-2024, Rules for data classification and grading; check
#   against the official text. A grade that is neither general nor important counts as core.
deny contains finding if {
	not classification_shareable
	finding := {"reason": {"code": "classification_core", "params": {}}, "remedies": []}
}
