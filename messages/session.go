package messages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Session is an agent's session at the gateway, as whoever signs the agents in handed it over. GUID and Cookies are
// credentials: no way of printing, logging or encoding a Session shows them, save EncodeSession.
type Session struct {
	GUID       string    `json:"-"`
	Cookies    []string  `json:"-"`                     // "name=value"
	GatewayURL string    `json:"gateway_url,omitempty"` // empty: the configured gateway
	SignedInAt time.Time `json:"signed_in_at,omitzero"` // zero: not said
}

// String tells a session without its credentials.
func (s Session) String() string {
	if s.SignedInAt.IsZero() {
		return "session"
	}
	return "session signed in " + s.SignedInAt.UTC().Format(time.RFC3339)
}

// GoString is String.
func (s Session) GoString() string { return s.String() }

// LogValue is String, for package log/slog.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Format writes String for each verb: %d would else print the fields, with a complaint beside each.
func (s Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// SameAs tells whether a call with one session is like a call with the other.
func (s Session) SameAs(o Session) bool {
	return s.GUID == o.GUID && slices.Equal(s.Cookies, o.Cookies) && s.GatewayURL == o.GatewayURL && s.SignedInAt.Equal(o.SignedInAt)
}

// Fingerprint tells a GUID from others, and whether it is the same as before, without a character of it. One so short
// that trying could find it has none.
func Fingerprint(guid string) string {
	if len(guid) < 16 {
		return ""
	}
	sum := sha256.Sum256([]byte(guid))
	return hex.EncodeToString(sum[:4])
}

// record is a session as it is stored.
type record struct {
	GUID       string    `json:"guid"`
	Cookies    []string  `json:"cookies,omitempty"`
	GatewayURL string    `json:"gateway_url,omitempty"`
	SignedInAt time.Time `json:"signed_in_at,omitzero"`
}

// EncodeSession returns what DecodeSession reads.
func EncodeSession(s Session) []byte {
	s.SignedInAt = s.SignedInAt.UTC()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(record(s)) // fails only for years that DecodeSession would not take either
	return bytes.TrimSpace(b.Bytes())
}

const (
	maxGUID    = 256
	maxCookies = 32
	maxURL     = 2048
)

// DecodeSession reads a session: a JSON object, or just the GUID as plain text. Its errors say which field is wrong
// and what would be right, and show nothing of what was given: it may be a credential that slipped into another field.
func DecodeSession(data []byte) (Session, error) {
	text := bytes.TrimSpace(data)
	var s Session
	switch {
	case len(text) == 0:
		return s, errors.New("session: empty; want a JSON object or a GUID")
	case text[0] == '"' || text[0] == '[':
		// These are visible characters, but what begins so was meant to be JSON.
		return s, errors.New("session: neither a JSON object nor a GUID as plain text")
	case text[0] != '{':
		var err error
		s.GUID, err = readGUID(string(text))
		return s, err
	case !json.Valid(text):
		return s, errors.New("session: begins like a JSON object and is none")
	}
	var err error
	w := walk{text: text, at: 1}
	for name, value, ok := w.member(); ok && err == nil; name, value, ok = w.member() {
		if value[0] != 'n' {
			err = s.set(string(name), value)
		}
	}
	if err == nil && s.GUID == "" {
		err = errors.New("guid: missing; want the GUID of the agent's session")
	}
	if err != nil {
		return Session{}, err
	}
	return s, nil
}

func (s *Session) set(name string, raw []byte) (err error) {
	text, isString := unquote(raw)
	switch name {
	case "guid":
		if !isString {
			return errors.New("guid: no string")
		}
		s.GUID, err = readGUID(text)
	case "cookies":
		s.Cookies, err = readCookies(raw)
	case "gateway_url":
		if !isString || !validBase(text) {
			return errors.New("gateway_url: want an http or https URL with a host, and neither user, query nor fragment")
		}
		s.GatewayURL = text
	case "signed_in_at":
		if s.SignedInAt, isString = instant(raw); !isString {
			return errors.New("signed_in_at: want RFC 3339 with zone, such as 2026-11-22T18:00:00+01:00")
		}
	}
	return err
}

// readGUID accepts what can stand in an HTTP header as it is.
func readGUID(s string) (string, error) {
	for {
		rest, named := strings.CutPrefix(s, "JSESSIONID=")
		if !named {
			break
		}
		s = rest
	}
	if len(s) == 0 || len(s) > maxGUID {
		return "", fmt.Errorf("guid: %d bytes; want 1 to %d", len(s), maxGUID)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", fmt.Errorf("guid: byte %d of %d is no visible ASCII character", i+1, len(s))
		}
	}
	return s, nil
}

func validBase(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && (u.Scheme == "https" || u.Scheme == "http") &&
		u.Hostname() != "" && u.User == nil && !strings.ContainsAny(s, "?#")
}
