package tap

import (
	"net/http"
	"strings"
	"time"

	"idlepolicy/messages"
)

// kind is what a request asks the gateway for, as far as sessions are concerned.
type kind int

const (
	other kind = iota
	signIn
	heartbeat // a poll, or a handshake in push mode
	updateGUID
	signOut
	kinds // how many there are
)

// String returns the kind as it stands in metrics.
func (k kind) String() string {
	return [...]string{"other", "sign_in", "heartbeat", "update_guid", "sign_out"}[k]
}

// request is what the tap keeps of a request until its answer comes.
type request struct {
	kind  kind
	agent string   // in the path; empty: none
	guid  string   // that the request shows; empty: none
	sent  []string // cookies, "name=value"
	asked time.Time
}

const resources = "/agentgateway/resource/"

// readRequest says what a request is. Everything in it comes from a stranger.
func readRequest(method, path string, h http.Header, now time.Time) request {
	r := request{asked: now}
	rest, ours := strings.CutPrefix(path, resources)
	if !ours {
		r.guid = shownGUID(h)
		return r
	}
	resource, rest, _ := strings.Cut(rest, "/")
	agent, verb, _ := strings.Cut(rest, "/")
	if messages.ValidAgentID(agent) {
		r.agent = agent
		r.kind = kindOf(method, resource, verb)
	}
	if r.kind != signIn {
		r.guid = shownGUID(h)
		if r.kind != other && r.kind != signOut {
			r.sent = sentCookies(h["Cookie"])
		}
	}
	return r
}

func kindOf(method, resource, verb string) kind {
	if resource == "agentevent" && verb == "" && method == http.MethodGet {
		return heartbeat
	}
	if resource != "onlineagent" {
		return other
	}
	switch method + " " + verb {
	case "PUT ", "PUT forcelogin":
		return signIn
	case "POST handshake":
		return heartbeat
	case "PUT updateGuid":
		return updateGUID
	case "DELETE logout", "DELETE forcelogout":
		return signOut
	}
	if reason, ok := strings.CutPrefix(verb, "forcelogoutwithreason/"); ok && method == http.MethodDelete && !strings.Contains(reason, "/") {
		return signOut
	}
	return other
}

func shownGUID(h http.Header) string {
	if values := h["Guid"]; len(values) > 0 {
		return readGUID(values[0])
	}
	return ""
}

// readGUID returns the GUID in the value of a header; empty: there is none that a session record could hold.
func readGUID(value string) string {
	value, _, _ = strings.Cut(value, ";") // attributes, as those of a cookie
	value = strings.TrimSpace(value)
	if value == "" || strings.ContainsAny(value[:1], `{["`) { // these begin other forms of a session record
		return ""
	}
	s, err := messages.DecodeSession([]byte(value))
	if err != nil {
		return ""
	}
	return s.GUID
}

// mostCookies and longestCookie bound what is kept of an agent's cookies.
const (
	mostCookies   = 32
	longestCookie = 4096
)

// sentCookies returns the cookies that a desktop sends back.
func sentCookies(lines []string) (cookies []string) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); isCookie(pair) && len(cookies) < mostCookies {
				cookies = append(cookies, pair)
			}
		}
	}
	return cookies
}

// isCookie reports whether a pair can be sent back in a Cookie header as it is.
func isCookie(pair string) bool {
	if len(pair) > longestCookie {
		return false
	}
	c, err := http.ParseCookie(pair)
	return err == nil && len(c) == 1 && c[0].Name != "" && !strings.ContainsAny(pair, " ,;\\")
}
