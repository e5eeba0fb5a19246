package config

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"IDLE_RATE", "IDLE_BURST", "IDLE_BACKOFF_MAX", "IDLE_NATS_URL", "IDLE_NATS_CA"}
	for typed, want := range map[string]string{
		"IDLE_RAET":       "IDLE_RATE",
		"IDLE_RAT":        "IDLE_RATE",
		"IDLE_BACKOF_MAX": "IDLE_BACKOFF_MAX",
		"IDLE_MAX_BACK":   "",
		"IDLE_NATSURL":    "IDLE_NATS_URL",
		"IDLE_CITY":       "",
		"IDLE_":           "",
		"IDLE_NAME":       "",
		"IDLE_PORT":       "",
		"IDLE_NATS_ULR":   "IDLE_NATS_URL",
	} {
		if got := nearestOf(typed, names); got != want {
			t.Errorf("nearestOf(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"raet", "rate", 1},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
