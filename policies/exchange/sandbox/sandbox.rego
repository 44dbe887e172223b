package exchange

sandbox_max_days := 7

# What is missing is no "no sandbox".
sandbox_stated if is_boolean(input.offering.sandbox)

default on_sandbox := false

# METADATA
# title: An offering that anyone registered may try
# description: >-
#   A platform may offer something harmless for a first try: general data without personal
#   information, for seven days at most. Then it is not asked who the requester is, as long as it
#   takes part: neither its role nor its size, its jurisdiction, nor how well they are shown. All
#   else is asked as of any offering. On what is not harmless the platform's word lifts nothing;
#   general data without personal information may leave the country (see export.rego).
on_sandbox if {
	input.offering.sandbox == true
	general_data
	no_personal_information
	is_number(input.offering.max_days)
	input.offering.max_days <= sandbox_max_days
}
