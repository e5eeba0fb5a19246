package tap

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// learn says what a request and its answer mean for the agent's session. The body is empty where it was not looked at.
func learn(r *request, h http.Header, body []byte) Event {
	e := Event{Kind: Passed, Agent: r.agent, Shown: r.guid, Asked: r.asked, Sent: r.sent}
	said := readBody(r.kind, body)
	if r.kind == signIn {
		if said.retcode == "0" {
			e.Kind, e.GUID, e.Cookies = SignedIn, givenGUID(h), setCookies(nil, h["Set-Cookie"])
		}
		if e.GUID == "" { // not signed in, or nothing to keep
			return Event{Kind: Passed, Asked: r.asked}
		}
		return e
	}
	if e.GUID = givenGUID(h); e.GUID == "" && r.kind == updateGUID && said.retcode == "0" {
		e.GUID = readGUID(said.guid)
	}
	if e.GUID != "" {
		e.Cookies = setCookies(nil, h["Set-Cookie"])
	}
	switch said.retcode {
	case "0":
		switch r.kind {
		case signOut:
			e.Kind = SignedOut
		case other:
			e.Kind = Accepted
		default:
			e.Kind = Answered
		}
	case "100-006", "100-008":
		e.Kind = Refused
	}
	return e
}

// givenGUID returns the GUID that an answer gives: in Set-GUID, else in Guid.
func givenGUID(h http.Header) string {
	for _, name := range [...]string{"Set-Guid", "Guid"} {
		for _, value := range h[name] {
			if guid := readGUID(value); guid != "" {
				return guid
			}
		}
	}
	return ""
}

// setCookies returns cookies with those that an answer sets, replaces or takes away.
func setCookies(cookies, lines []string) []string {
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			continue
		}
		pair, _, _ := strings.Cut(line, ";")
		pair = strings.TrimSpace(pair)
		var kept []string
		for _, had := range cookies {
			if name, _, _ := strings.Cut(had, "="); name != c.Name {
				kept = append(kept, had)
			}
		}
		if cookies = kept; c.MaxAge >= 0 && c.Value != "" && isCookie(pair) && len(cookies) < mostCookies {
			cookies = append(cookies, pair)
		}
	}
	return cookies
}

// said is what the body of an answer says.
type said struct {
	retcode string // empty: unknown
	guid    string // in the result
}

// readBody reads the few fields that matter. The rest of the text is free in its form.
func readBody(k kind, body []byte) (s said) {
	if len(body) == 0 {
		return s
	}
	var text struct {
		Retcode json.RawMessage `json:"retcode"`
		Result  json.RawMessage `json:"result"`
	}
	if json.Unmarshal(body, &text) != nil {
		return s
	}
	if code := bytes.Trim(text.Retcode, `"`); len(code) > 0 && len(code) <= longestRetcode {
		s.retcode = string(code)
	}
	if k == updateGUID {
		var result struct {
			GUID string `json:"guid"`
		}
		if json.Unmarshal(text.Result, &result) == nil {
			s.guid = result.GUID
		}
	}
	return s
}

const longestRetcode = 16
