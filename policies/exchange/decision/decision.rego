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
	limits_known
	sandbox_stated
}

default reasons := []

reasons := sort({finding.reason | some finding in deny}) if outcome == "deny"

reasons := sort(approvals_required) if outcome == "needs_approval"

default remedies := []

remedies := sort({remedy | some finding in deny; some remedy in finding.remedies}) if outcome == "deny"

# METADATA
# title: What the connector enforces
# description: >-
#   The grant lasts the days that were asked for; where the offering limits sessions, calls, their
#   rate, bytes, how many run at once or which paths, the connector holds the grant to that.
# scope: document
obligations["days"] := input.request.days if outcome == "permit"

obligations["sessions"] := input.offering.max_sessions if {
	outcome == "permit"
	input.offering.max_sessions != null
}

obligations[name] := limit if {
	outcome == "permit"
	some name, limit in input.offering.limits
}

# What is missing is no "without limit".
limits_known if is_object(input.offering.limits)
