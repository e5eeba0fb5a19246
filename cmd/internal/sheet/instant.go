package sheet

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// nearly matches what programs write instead of RFC 3339 where nothing is left to guess: a space instead of the T, no
// seconds, a comma before the fraction, an offset without a colon or without minutes, the name of the zone behind it.
var nearly = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))?\s?([Zz]|[+-]\d\d(?::?\d\d)?)(?:\[[A-Za-z0-9_+/-]+\])?$`)

// plainInstant returns the RFC 3339 form of an instant that is written in another way but cannot be misunderstood: see
// nearly, and seconds or milliseconds since 1970. It returns everything else as it is.
func plainInstant(s string) string {
	if since, ok := sinceEpoch(s); ok {
		return since.UTC().Format(time.RFC3339Nano)
	}
	m := nearly.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	day, clock, seconds, fraction, zone := m[1], m[2], m[3], m[4], strings.ToUpper(m[5])
	if seconds == "" {
		seconds = ":00"
	}
	if fraction != "" {
		seconds += "." + fraction
	}
	switch len(zone) {
	case len("+01"):
		zone += ":00"
	case len("+0100"):
		zone = zone[:3] + ":" + zone[3:]
	}
	return day + "T" + clock + seconds + zone
}

// sinceEpoch reads 10 digits as seconds and 13 as milliseconds since 1970: instants from 2001 to 2286.
func sinceEpoch(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] < '1' || s[0] > '9' {
		return time.Time{}, false
	}
	switch len(s) {
	case len("1795424400"):
		return time.Unix(n, 0), true
	case len("1795424400000"):
		return time.UnixMilli(n), true
	}
	return time.Time{}, false
}
