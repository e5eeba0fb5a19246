package gatewaytest

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

const (
	beforeAgent = "/agentgateway/resource/onlineagent/"
	beforeFlag  = "autoenteridle"
)

// parsePath finds the agent and the flag in the path of the one call. They need not be usable.
func parsePath(path string) (agentID, flag string, ok bool) {
	rest, ok := strings.CutPrefix(path, beforeAgent)
	if !ok {
		return "", "", false
	}
	agentID, rest, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", false
	}
	verb, flag, ok := strings.Cut(rest, "/")
	if !ok || verb != beforeFlag || strings.Contains(flag, "/") {
		return "", "", false
	}
	return agentID, flag, true
}

// validAgent duplicates the check on purpose: a mistake in the product's own check must show.
func validAgent(id string) bool {
	if len(id) < 3 || len(id) > 6 || id[0] == '0' || id == "100" {
		return false
	}
	for i := range len(id) {
		if id[i] < '0' || id[i] > '9' {
			return false
		}
	}
	return true
}

func validFlag(flag string) bool {
	n := utf8.RuneCountInString(flag)
	return n >= 1 && n <= 5
}

// carried are the headers that are recorded.
type carried struct {
	guid, cookie, contentType, traceParent, traceState string
}

func carriedBy(h http.Header) carried {
	return carried{
		guid: first(h["Guid"]), cookie: strings.Join(h["Cookie"], "; "), contentType: first(h["Content-Type"]),
		traceParent: first(h["Traceparent"]), traceState: first(h["Tracestate"]),
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (c *carried) header() http.Header {
	h := http.Header{}
	for _, field := range [...][2]string{
		{"Guid", c.guid},
		{"Cookie", c.cookie},
		{"Content-Type", c.contentType},
		{"Traceparent", c.traceParent},
		{"Tracestate", c.traceState},
	} {
		if field[1] != "" {
			h[field[0]] = []string{field[1]}
		}
	}
	return h
}

// headerOf returns the headers for the record. An agent's calls mostly carry the same, and then share it.
func (a *agent) headerOf(c *carried) http.Header {
	if a.shown == nil || a.header != *c {
		a.header, a.shown = *c, c.header()
	}
	return a.shown
}
