package exchange

# Who decides about an approval's rights is the exchange; that nobody approves their own request
# is checked here too. Who approves twice counts once.
approvers := {by |
	some approval in input.approvals
	by := approval.by
	by != input.consumer.id
}

approvers_sound if {
	is_number(input.offering.approvers)
	input.offering.approvers >= 1
}

# Four eyes are two people: the offering says how many must approve.
approved if {
	approvers_sound
	count(approvers) >= input.offering.approvers
}

approval_settled if approved

approval_settled if {
	approvers_sound
	input.offering.approval == "automatic"
	input.offering.classification == "general"
	input.offering.personal_information in {"none", "personal"}
}

# METADATA
# title: The platform wants to approve
# description: The offering says that each request is approved by its platform.
approvals_required contains reason if {
	not approved
	input.offering.approval == "provider"
	reason := {"code": "approval_required_provider", "params": {}}
}

# METADATA
# title: Important data only after an explicit approval
# description: >-
#   GB/T 43697-2024 and the Network Data Security Regulations; check against the official text. The
#   platform approves each request, whatever the offering's own approval rule says.
approvals_required contains reason if {
	not approved
	input.offering.classification == "important"
	reason := {"code": "approval_required_important", "params": {}}
}

# METADATA
# title: Sensitive personal information only after an explicit approval
# description: >-
#   Personal Information Protection Law, arts. 23, 29, 55 and 56 (separate consent, prior impact
#   assessment); check against the official text. The approver states that both exist.
approvals_required contains reason if {
	not approved
	input.offering.personal_information == "sensitive"
	reason := {"code": "approval_required_sensitive", "params": {}}
}
