package exchange

participants_sound if {
	consumer_active
	provider_active
	consumer_may_ask
	between_two
}

consumer_active if input.consumer.status == "active"

provider_active if input.provider.status == "active"

consumer_may_ask if "sme" in input.consumer.roles

consumer_may_ask if on_sandbox

between_two if input.consumer.id != input.provider.id

# METADATA
# title: The requester takes part
# description: A suspended organisation gets nothing, whatever it was promised before.
deny contains finding if {
	not consumer_active
	status := input.consumer.status
	finding := {"reason": {"code": "consumer_not_active", "params": {"status": status}}, "remedies": []}
}

# METADATA
# title: The platform takes part
# description: Nothing of a suspended platform is given out.
deny contains finding if {
	not provider_active
	status := input.provider.status
	finding := {"reason": {"code": "provider_not_active", "params": {"status": status}}, "remedies": []}
}

# METADATA
# title: The requester is a small or medium-sized enterprise
# description: >-
#   Offerings are opened to organisations that hold the role sme; a sandbox to all that take part.
#   Action Plan for Promoting the Collaborative Development of Large, Medium and Small Enterprises
#   in the Platform Economy (2026-2028); check against the official text.
deny contains finding if {
	not consumer_may_ask
	finding := {"reason": {"code": "consumer_role_missing", "params": {"role": "sme"}}, "remedies": []}
}

# METADATA
# title: A platform does not ask itself
# description: Giver and receiver are two organisations, so that an approval has two sides.
deny contains finding if {
	not between_two
	finding := {"reason": {"code": "self_request", "params": {}}, "remedies": []}
}
