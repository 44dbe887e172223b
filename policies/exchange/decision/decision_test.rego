package exchange_test

import data.exchange

test_permit if {
	exchange.decision == {
		"decision": "permit",
		"reasons": [],
		"remedies": [],
		"obligations": {"days": 30, "sessions": 100},
	} with input as sample
}

test_permit_without_session_limit if {
	answer := exchange.decision with input as sample with input.offering.max_sessions as null
	answer.decision == "permit"
	answer.obligations == {"days": 30}
}

test_limits_are_obligations if {
	limits := {"calls": 3, "calls_per_minute": 60, "bytes": 1000, "concurrent": 2, "paths": ["GET /stats/*"]}
	answer := exchange.decision with input as sample
		with input.offering.max_sessions as null
		with input.offering.limits as limits
	answer.obligations == object.union(limits, {"days": 30})
}

test_no_limits_are_promised_to_who_is_refused if {
	answer := exchange.decision with input as sample
		with input.offering.limits as {"calls": 3}
		with input.request.days as 91
	denied(answer, "duration_too_long")
}

test_no_input_is_denied if {
	answer := exchange.decision with input as {}
	answer.decision == "deny"
	answer.obligations == {}
}

test_undefined_input_is_denied if {
	exchange.decision.decision == "deny"
}

# The finding about a missing status has no parameters to show; the request is denied all the same.
test_missing_parts_are_denied if {
	every part in {"consumer", "provider", "offering", "request"} {
		answer := exchange.decision with input as object.remove(sample, {part})
		answer.decision == "deny"
	}
}

test_each_missing_term_is_denied if {
	read := object.keys(sample.offering) - {"id", "version", "max_sessions"}
	every term in read {
		answer := exchange.decision with input as sample
			with input.offering as object.remove(sample.offering, {term})
		answer.decision != "permit"
	}
}

test_reasons_and_remedies_are_sorted if {
	answer := exchange.decision with input as sample
		with input.consumer.status as "suspended"
		with input.request.purpose as "anything"
		with input.request.days as 91
		with input.request.actions as ["write", "call"]
	[reason.code | some reason in answer.reasons] == [
		"action_not_supported",
		"action_not_supported",
		"consumer_not_active",
		"duration_too_long",
		"purpose_not_allowed",
	]
	[remedy.code | some remedy in answer.remedies] == [
		"choose_action",
		"choose_purpose",
		"shorten_duration",
	]
}

test_denial_goes_before_approval if {
	answer := exchange.decision with input as sample
		with input.offering.approval as "provider"
		with input.request.days as 91
	denied_only(answer, "duration_too_long", {"days": 91, "max_days": 90})
}
