package exchange

# An offering that is open to all four classes does not ask for anybody's figures, nor a sandbox.
size_matters if {
	not on_sandbox
	count({size | some size in input.offering.sizes}) < 4
}

default size_attributes := set()

size_attributes := {"industry"} | {attribute | some attribute, _ in size_bounds} if size_matters

default size_bounds := {}

size_bounds := data.thresholds.industries[input.consumer.attributes.industry.value]

size_missing := size_attributes - object.keys(input.consumer.attributes)

# METADATA
# title: The size of an enterprise
# description: >-
#   Large, medium or small where every lower bound of that tier is met, otherwise a tier lower: 1,200
#   staff with a revenue of 100 million CNY in industry is medium. Regulation on the classification
#   standards of small and medium-sized enterprises (2011, No. 300); check against the official text.
size_class := class if {
	size_matters
	count(size_missing) == 0
	figures := {attribute: value |
		some attribute, _ in size_bounds
		value := input.consumer.attributes[attribute].value
		is_number(value)
	}
	count(figures) == count(size_bounds)
	tiers_missed := {tier |
		some attribute, value in figures
		some tier, bound in size_bounds[attribute]
		value < bound
	}
	tier := min({0, 1, 2, 3} - tiers_missed)
	class := data.thresholds.tiers[tier]
}

size_allowed if not size_matters

size_allowed if size_class in input.offering.sizes

# METADATA
# title: What the size is computed from is known
# description: Each missing figure is named, and only those that the industry's bounds are about.
deny contains finding if {
	some attribute in size_missing
	finding := {
		"reason": {"code": "size_unknown", "params": {"attribute": attribute}},
		"remedies": [{"code": "declare_attribute", "params": {"attribute": attribute}}],
	}
}

# METADATA
# title: A size that the platform opened the offering to
# description: The computed class is not one of the offering's. Nobody is told to change their size.
deny contains finding if {
	not size_allowed
	finding := {
		"reason": {"code": "size_not_allowed", "params": {"size": size_class}},
		"remedies": [],
	}
}
