package gateway

import "strings"

// What comes with a change from outside becomes a header of the call only if it is what it says: an unusable value would
// make the HTTP client refuse the call, and one agent's change would look like a fault of the gateway for ever.

// validTraceParent accepts the W3C trace context of version 00.
func validTraceParent(s string) bool {
	parts := strings.Split(s, "-")
	return len(s) == 55 && len(parts) == 4 && parts[0] == "00" && len(parts[1]) == 32 && len(parts[2]) == 16 &&
		strings.Trim(s, "0123456789abcdef-") == "" && strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != ""
}

const maxTraceState = 512

func validTraceState(s string) bool {
	if s == "" || len(s) > maxTraceState {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
