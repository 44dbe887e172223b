package exchange_test

import data.exchange

test_longest_duration if {
	answer := exchange.decision with input as sample with input.request.days as 90
	answer.obligations.days == 90
}

test_a_day_longer if {
	answer := exchange.decision with input as sample with input.request.days as 91
	denied_only(answer, "duration_too_long", {"days": 91, "max_days": 90})
	answer.remedies == [{"code": "shorten_duration", "params": {"max_days": 90}}]
}

test_wrong_durations_are_denied if {
	every wrong in [0, -1, "30", true, [30], null] {
		answer := exchange.decision with input as sample with input.request.days as wrong
		denied(answer, "duration_too_long")
	}
}
