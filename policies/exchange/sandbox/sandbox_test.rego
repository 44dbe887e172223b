package exchange_test

import data.exchange

# An offering for anyone to try, asked for by an organisation of which nothing is known.
sandbox := object.union(sample, {
	"offering": {"sandbox": true, "max_days": 7, "purposes": ["logistics_planning", "trial"]},
	"request": {"purpose": "trial", "days": 7},
})

anyone := {"id": "org_anyone", "status": "active", "roles": ["platform"], "attributes": {}}

# What is asked about who somebody is, on what is no sandbox.
about_the_requester := {"consumer_role_missing", "jurisdiction_unknown", "size_unknown"}

codes(answer) := {reason.code | some reason in answer.reasons}

test_anyone_registered_gets_it_at_once if {
	exchange.decision == {
		"decision": "permit",
		"reasons": [],
		"remedies": [],
		"obligations": {"days": 7, "sessions": 100},
	} with input as sandbox with input.consumer as anyone
}

test_the_same_without_the_flag_asks_who_it_is if {
	answer := exchange.decision with input as sandbox
		with input.consumer as anyone
		with input.offering.sandbox as false
	answer.decision == "deny"
	codes(answer) == about_the_requester
}

test_neither_size_nor_evidence_nor_jurisdiction_matter if {
	large := {
		"jurisdiction": {"value": "FR", "evidence": "self_declared"},
		"industry": {"value": "other", "evidence": "self_declared"},
		"headcount": {"value": 100000, "evidence": "self_declared"},
	}
	answer := exchange.decision with input as sandbox
		with input.consumer.attributes as large
		with input.offering.min_evidence as "certified"
		with input.offering.jurisdictions as ["CN"]
	answer.decision == "permit"
	without := exchange.decision with input as sandbox
		with input.consumer.attributes as large
		with input.offering.min_evidence as "certified"
		with input.offering.jurisdictions as ["CN"]
		with input.offering.sandbox as false
	codes(without) == {"evidence_too_low", "jurisdiction_not_allowed", "size_not_allowed"}
}

test_the_flag_lifts_nothing_from_what_is_not_harmless if {
	every harm in [
		{"classification": "important"},
		{"classification": "core"},
		{"classification": "General"},
		{"personal_information": "personal"},
		{"personal_information": "sensitive"},
		{"personal_information": null},
		{"max_days": 8},
		{"max_days": 36500},
		{"max_days": null},
		{"max_days": "7"},
		{"max_days": true},
	] {
		answer := exchange.decision with input as sandbox
			with input.consumer as anyone
			with input.offering as object.union(sandbox.offering, harm)
		answer.decision == "deny"
		about_the_requester - codes(answer) == set()
	}
}

test_only_true_is_the_flag if {
	every wrong in ["true", 1, [true], {"true": true}, null, false] {
		answer := exchange.decision with input as sandbox
			with input.consumer as anyone
			with input.offering.sandbox as wrong
		answer.decision == "deny"
		codes(answer) == about_the_requester
	}
}

test_a_flag_that_is_not_stated_is_denied if {
	every document in [sample, sandbox] {
		answer := exchange.decision with input as document
			with input.offering as object.remove(document.offering, {"sandbox"})
		answer.decision == "deny"
	}
}

test_all_else_is_asked_as_of_any_offering if {
	suspended := exchange.decision with input as sandbox with input.consumer.status as "suspended"
	denied_only(suspended, "consumer_not_active", {"status": "suspended"})
	held := exchange.decision with input as sandbox with input.provider.status as "suspended"
	denied_only(held, "provider_not_active", {"status": "suspended"})
	own := exchange.decision with input as sandbox with input.consumer.id as "org_provider"
	denied_only(own, "self_request", {})
	off := exchange.decision with input as sandbox with input.offering.status as "withdrawn"
	denied_only(off, "offering_not_published", {"status": "withdrawn"})
	other := exchange.decision with input as sandbox with input.request.purpose as "compliance"
	denied_only(other, "purpose_not_allowed", {"purpose": "compliance"})
	longer := exchange.decision with input as sandbox with input.request.days as 8
	denied_only(longer, "duration_too_long", {"days": 8, "max_days": 7})
	act := exchange.decision with input as sandbox with input.request.actions as ["call"]
	denied_only(act, "action_not_supported", {"action": "call", "kind": "dataset"})
	unlimited := exchange.decision with input as sandbox with input.offering.limits as null
	unlimited.decision == "deny"
	waits := exchange.decision with input as sandbox with input.offering.approval as "provider"
	waits.decision == "needs_approval"
}
