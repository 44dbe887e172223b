package exchange_test

# One request that is permitted; each test changes what it is about.
sample := {
	"now": 1767225600,
	"consumer": {
		"id": "org_consumer",
		"status": "active",
		"roles": ["sme"],
		"attributes": {
			"jurisdiction": {"value": "CN", "evidence": "verified"},
			"industry": {"value": "software_it_services", "evidence": "verified"},
			"headcount": {"value": 42, "evidence": "verified"},
			"revenue_cny_10k": {"value": 900, "evidence": "verified"},
		},
	},
	"provider": {"id": "org_provider", "status": "active"},
	"offering": {
		"id": "off_flights",
		"version": 1,
		"status": "published",
		"kind": "dataset",
		"classification": "general",
		"personal_information": "none",
		"purposes": ["logistics_planning", "scientific_research"],
		"max_days": 90,
		"jurisdictions": ["CN", "SG"],
		"min_evidence": "verified",
		"approval": "automatic",
		"approvers": 1,
		"sizes": ["micro", "small", "medium"],
		"max_sessions": 100,
		"limits": {},
		"sandbox": false,
	},
	"request": {"purpose": "logistics_planning", "actions": ["read"], "days": 30},
	"approvals": [],
}

denied(answer, code) if {
	answer.decision == "deny"
	answer.obligations == {}
	some reason in answer.reasons
	reason.code == code
}

denied_only(answer, code, params) if {
	denied(answer, code)
	answer.reasons == [{"code": code, "params": params}]
}
