package config

import (
	"regexp"
	"strings"

	"idlepolicy/worker/stream/access"
)

// credential matches what people paste instead of the name of a file: PEM, a JWT or an NKey seed.
var credential = regexp.MustCompile(`-----BEGIN|\n|^\s*eyJ|^\s*S[A-Z][A-Z2-7]{56}\s*$`)

// shown returns a value as it may be printed. Every value is treated as one that may hold a secret, because a URL may have been
// put into the wrong variable.
func shown(name, value string) string {
	switch {
	case credential.MatchString(value):
		return "***"
	case strings.HasSuffix(name, "_URL"), strings.Contains(value, "://"), strings.Contains(value, "@"):
		return access.Redact(value)
	}
	return value
}
