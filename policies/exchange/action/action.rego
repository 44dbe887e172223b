package exchange

actions_requested := {action | some action in input.request.actions}

actions_offered := {action | some action in data.actions[input.offering.kind]}

actions_unsupported := actions_requested - actions_offered

actions_supported if {
	count(actions_requested) > 0
	count(actions_unsupported) == 0
}

# METADATA
# title: An action that the offering's kind knows
# description: A dataset is read, a compute endpoint is called, technology is called or read.
deny contains finding if {
	some action in actions_unsupported
	kind := input.offering.kind
	finding := {
		"reason": {"code": "action_not_supported", "params": {"action": action, "kind": kind}},
		"remedies": [{"code": "choose_action", "params": {"actions": sort(actions_offered)}}],
	}
}
