package main

import "time"

// instantOf reads a flag that is an instant, or how long ago it was.
func instantOf(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, unusablef("--%s %q: want how long ago, such as 90m, or an instant such as 2026-11-22T18:00:00+01:00", name, text)
}
