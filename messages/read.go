package messages

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a change message.
const (
	maxFlag       = 5
	maxID         = 128 // characters
	maxBatchID    = 64
	maxBatchTotal = 1_000_000_000
	maxNote       = 1024 // bytes of reason and source; what is longer is cut
)

// ValidAgentID reports whether s names an agent: 101 to 999999, digits only, no leading zero.
func ValidAgentID(s string) bool {
	if len(s) < 3 || len(s) > 6 || s[0] == '0' || s == "100" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func readAgentID(raw []byte) (string, string) {
	text := raw
	if raw[0] == '"' {
		// Only a text that can be an agent's ID is copied.
		if text = raw[1 : len(raw)-1]; bytes.IndexByte(text, '\\') >= 0 {
			s, _ := unquote(raw)
			text = []byte(s)
		}
	}
	if len(text) <= 6 {
		if s := string(text); ValidAgentID(s) {
			return s, ""
		}
	}
	return "", "agent_id: " + shown(raw) + " names no agent; want 101 to 999999, digits only"
}

func readCancel(raw []byte) (bool, string) {
	switch raw[0] {
	case 't':
		return true, ""
	case 'f':
		return false, ""
	}
	return false, "cancel: " + shown(raw) + " is not a boolean; want true or false"
}

// ValidID reports whether s can be the id of a change: 1 to 128 printable characters. The .2 that Decode appends to the
// id of an agent's second change does not count, so that such a change can be cancelled and published again, too.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > (maxID+8)*utf8.UTFMax || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	n := utf8.RuneCountInString(s)
	return n <= maxID || n-len(appended(s)) <= maxID
}

// appended returns what a name ends in if that looks like what number appends.
func appended(s string) string {
	dot := strings.LastIndexByte(s, '.')
	suffix := s[dot+1:]
	if dot <= 0 || suffix == "" || len(suffix) > 6 || suffix[0] == '0' || suffix == "1" || strings.Trim(suffix, "0123456789") != "" {
		return ""
	}
	return s[dot:]
}

func readID(raw []byte) (string, string) {
	if s, ok := unquote(raw); ok && utf8.Valid(raw) && ValidID(s) {
		return s, ""
	}
	return "", "id: " + shown(raw) + " is not an id; want a string of 1 to 128 printable characters"
}

func readBatchID(raw []byte) (string, string) {
	if s, ok := unquote(raw); ok && isWord(s, maxBatchID) {
		return s, ""
	}
	return "", "batch_id: " + shown(raw) + " is not a batch_id; want a string of 1 to 64 letters, digits, - and _"
}

func readBatchTotal(raw []byte) (int, string) {
	n := 0
	for _, c := range raw {
		if n = n*10 + int(c-'0'); c < '0' || c > '9' || n > maxBatchTotal {
			n = 0
			break
		}
	}
	if n == 0 {
		return 0, "batch_total: " + shown(raw) + " is not a total; want a whole number from 1 to 1000000000"
	}
	return n, ""
}

func readNote(f field, raw []byte) (string, string) {
	s, ok := unquote(raw)
	if !ok {
		return "", fieldNames[f] + ": " + shown(raw) + " is not a string"
	}
	if len(s) > maxNote {
		s = strings.Clone(cut(s, maxNote))
	}
	return s, ""
}
