package messages

import (
	"regexp"
	"strings"
	"time"
)

// wantInstant ends every sentence about an instant that cannot be used.
const wantInstant = "want RFC 3339 with zone, such as 2026-11-22T18:00:00+01:00"

func readTime(f field, raw []byte) (time.Time, string) {
	t, wrong := instant(raw)
	if wrong != "" {
		wrong = fieldNames[f] + ": " + shown(raw) + " " + wrong + "; " + wantInstant
	}
	return t, wrong
}

// instant reads RFC 3339 from a JSON value, or says what is wrong with it. Lower-case t and z and a space instead of the T are
// RFC 3339 too (section 5.6). The result is in UTC, so that equal instants are equal values and no change keeps a
// zone of its own in memory.
func instant(raw []byte) (t time.Time, wrong string) {
	text, ok := unquote(raw)
	if !ok {
		if isNumber(raw) {
			return t, "is a number, perhaps seconds or milliseconds since 1970"
		}
		return t, "is not a string"
	}
	if normal := upper(text); !isRFC3339(normal) || t.UnmarshalText([]byte(normal)) != nil {
		return time.Time{}, missingOf(text)
	}
	if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, "is not in the years 1970 to 9999"
	}
	return t, ""
}

// upper returns an instant in the form that package time requires.
func upper(s string) string {
	if len(s) < len("2006-01-02T15:04:05Z") {
		return s
	}
	b := []byte(s)
	if b[10] == 't' || b[10] == ' ' {
		b[10] = 'T'
	}
	if b[len(b)-1] == 'z' {
		b[len(b)-1] = 'Z'
	}
	return string(b)
}

// isRFC3339 finds what package time accepts although RFC 3339 does not: hours of one digit, a comma before the
// fraction, and zones that are off by a day or more.
func isRFC3339(s string) bool {
	n := len(s)
	if n < len("2006-01-02T15:04:05Z") || s[13] != ':' || strings.Contains(s, ",") {
		return false
	}
	return s[n-1] == 'Z' || s[n-5:n-3] <= "23" && s[n-2:] <= "59"
}

func isNumber(raw []byte) bool { return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' }

// almostInstant matches what programs write instead of RFC 3339: seconds, fraction and zone may be missing or spelled otherwise.
var almostInstant = regexp.MustCompile(`^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(:\d\d)?([.,]\d+)?( ?[Zz]| ?[+-]\d\d(?::?\d\d)?)?(\[[^\]]*\])?)?$`)

var onlyDigits = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// missingOf says what a text lacks to be in RFC 3339.
func missingOf(text string) string {
	if onlyDigits.MatchString(text) {
		return "is a number, perhaps seconds or milliseconds since 1970"
	}
	part := almostInstant.FindStringSubmatch(text)
	switch {
	case part == nil:
		return "is not an instant"
	case len(text) == len("2006-01-02"):
		return "is a date without a time of day and a zone"
	}
	seconds, fraction, zone, bracket := part[1], part[2], part[3], part[4]
	var wrong []string
	switch seconds {
	case "":
		wrong = append(wrong, "no seconds")
	case ":60":
		wrong = append(wrong, "a leap second, which no clock here counts")
	}
	switch offset := strings.TrimSpace(zone); {
	case zone == "":
		wrong = append(wrong, "no zone")
	case offset != zone:
		wrong = append(wrong, "a space before its zone")
	case len(offset) == len("+01"):
		wrong = append(wrong, "no minutes in its offset")
	case len(offset) == len("+0100"):
		wrong = append(wrong, "no colon in its offset")
	}
	if bracket != "" {
		wrong = append(wrong, "a zone in brackets")
	}
	if strings.HasPrefix(fraction, ",") {
		wrong = append(wrong, "a comma before its fraction")
	}
	if len(wrong) == 0 {
		return "is not an instant" // such as the 30th of February
	}
	return "has " + strings.Join(wrong, " and ")
}
