package access

import (
	"regexp"
	"strings"
)

// hidden stands for what is not shown.
const hidden = "***"

// Redact returns a URL, or several separated by commas, as it may be shown: the scheme, the host and the port, and nothing else.
// It goes by the text alone, because a URL that cannot be parsed is the one that is most likely to be shown.
func Redact(raw string) string {
	var list []string
	for raw != "" {
		one, rest := raw, ""
		// A comma ends a URL only if another scheme follows: it may be part of a password too.
		if next := nextURL.FindStringIndex(raw); next != nil {
			one, rest = raw[:next[0]], raw[next[0]+1:]
		}
		list = append(list, redactOne(one))
		raw = rest
	}
	return strings.Join(list, ",")
}

// RedactAll is Redact for URLs that have been taken apart.
func RedactAll(urls []string) string { return Redact(strings.Join(urls, ",")) }

var (
	nextURL   = regexp.MustCompile(`,\s*(?i:nats|tls|wss?|https?)://`)
	scheme    = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	authority = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\])?(?::[0-9]{0,5})?(?:$|[/?#,])`)
)

func redactOne(raw string) string {
	before := scheme.FindString(raw)
	raw = raw[len(before):]
	// The last @ ends the user part: those before it are in a password that should have been escaped.
	if i := strings.LastIndex(raw, "@"); i >= 0 {
		if strings.ContainsAny(raw[:i], "/?#") { // what follows the @ may belong to a secret too
			return before + hidden
		}
		before, raw = before+hidden+"@", raw[i+1:]
	}
	host := authority.FindString(raw)
	switch rest := strings.TrimPrefix(raw[len(host):], "/"); {
	case host == "" && raw != "":
		return before + hidden
	case rest != "", strings.HasSuffix(host, "?"), strings.HasSuffix(host, "#"):
		return before + strings.TrimRight(host, "/?#,") + "/" + hidden
	}
	return before + host
}
