package messages

import "strings"

// What comes beside a change from outside is passed on only if it is what it says. An unusable value would make the
// gateway's call impossible, and one that is too long the change's result: either would look like a fault for ever.

const maxTraceState = 512

// ValidTraceParent reports whether s is a W3C trace context of version 00.
func ValidTraceParent(s string) bool {
	return len(s) == 55 && s[:3] == "00-" && s[35] == '-' && s[52] == '-' &&
		isTraceID(s[3:35]) && isTraceID(s[36:52]) && isHex(s[53:])
}

// ValidTraceState reports whether s can be passed on: 1 to 512 printable ASCII characters.
func ValidTraceState(s string) bool {
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

func isTraceID(s string) bool { return isHex(s) && strings.Trim(s, "0") != "" }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
