package config

import (
	"regexp"
	"strings"
)

// RedactURL shows a URL, or several separated by commas, without user, password, token and query. It goes by the
// text alone, because a URL that cannot be parsed is the one most likely to be shown.
func RedactURL(raw string) string {
	var list []string
	for len(raw) > 0 {
		one, rest := raw, ""
		// A comma ends a URL only where another scheme follows: it may stand in a password too.
		if next := nextURL.FindStringIndex(raw); next != nil {
			one, rest = raw[:next[0]], raw[next[0]+1:]
		}
		list = append(list, redactOne(one))
		raw = rest
	}
	return strings.Join(list, ",")
}

var nextURL = regexp.MustCompile(`,\s*[A-Za-z][A-Za-z0-9+.-]*://`)

func redactOne(raw string) string {
	scheme := ""
	if i := strings.Index(raw, "://"); i >= 0 {
		scheme, raw = raw[:i+len("://")], raw[i+len("://"):]
	}
	// The last @ ends the user part: those before it stand in a password that should have been escaped.
	if i := strings.LastIndex(raw, "@"); i >= 0 {
		raw = "***" + raw[i:]
	}
	if i := strings.Index(raw, "?"); i >= 0 {
		raw = raw[:i] + "?***"
	}
	return scheme + raw
}

// credential is what people paste where the name of a file belongs: PEM, a JWT or an NKey seed.
var credential = regexp.MustCompile(`-----BEGIN|\n|^\s*eyJ|^\s*S[A-Z][A-Z2-7]{56}\s*$`)

// shown is how a value may be printed. Every value is treated as one that may hold a secret, because a URL may have
// been put into the wrong variable.
func shown(value string) string {
	if credential.MatchString(value) {
		return "***"
	}
	return RedactURL(value)
}
