package exchange

# METADATA
# title: The decision
# description: >-
#   One answer to one request: permit, deny or needs_approval, with every reason, what the
#   requester can change, and what the connector must enforce. Nothing is permitted unless every
#   condition below was shown to hold; what is missing or of a wrong type counts as not shown.
#   Reasons and remedies are codes with parameters and always stand in the same order.
# entrypoint: true
decision := {
	"decision": outcome,
	"reasons": reasons,
	"remedies": remedies,
	"obligations": obligations,
}

default outcome := "deny"

outcome := "permit" if {
	conditions_hold
	approval_settled
}

outcome := "needs_approval" if {
	conditions_hold
	not approval_settled
	count(approvals_required) > 0
}

# A rule that finds something denies; the positive list after it catches what a finding's own
# parameters, undefined, would have hidden.
conditions_hold if {
	count(deny) == 0
	participants_sound
	offering_published
	classification_shareable
	purpose_allowed
	duration_allowed
	actions_supported
	jurisdiction_allowed
	export_settled
	evidence_sufficient
	size_allowed
}

default reasons := []

reasons := sort({finding.reason | some finding in deny}) if outcome == "deny"

reasons := sort(approvals_required) if outcome == "needs_approval"

default remedies := []

remedies := sort({remedy | some finding in deny; some remedy in finding.remedies}) if outcome == "deny"

default obligations := {}

# METADATA
# title: What the connector enforces
# description: >-
#   The grant lasts the days that were asked for; where the offering limits the number of
#   sessions, the connector counts them.
# scope: document
obligations := {"days": days} if {
	outcome == "permit"
	not sessions_limited
	days := input.request.days
}

obligations := {"days": days, "sessions": sessions} if {
	outcome == "permit"
	sessions_limited
	days := input.request.days
	sessions := input.offering.max_sessions
}

sessions_limited if input.offering.max_sessions != null
