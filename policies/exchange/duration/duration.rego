package exchange

duration_allowed if {
	is_number(input.request.days)
	input.request.days >= 1
	input.request.days <= input.offering.max_days
}

# METADATA
# title: No longer than the platform allows
# description: >-
#   A grant lasts a number of whole days, at most the offering's longest duration. Personal
#   Information Protection Law, art. 19 (the shortest time necessary); check against the official
#   text.
deny contains finding if {
	not duration_allowed
	days := input.request.days
	max_days := input.offering.max_days
	finding := {
		"reason": {"code": "duration_too_long", "params": {"days": days, "max_days": max_days}},
		"remedies": [{"code": "shorten_duration", "params": {"max_days": max_days}}],
	}
}
