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
// credentials: no way of printing, logging or encoding a Session shows them, except [EncodeSession].
type Session struct {
	GUID       string    `json:"-"`
	Cookies    []string  `json:"-"`                     // "name=value"
	GatewayURL string    `json:"gateway_url,omitempty"` // empty: the configured gateway
	SignedInAt time.Time `json:"signed_in_at,omitzero"` // zero: not said
	LeftOut    []string  `json:"left_out,omitempty"`    // sentences about optional fields of the record that cannot be used
}

// String describes a session without its credentials.
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

// Format writes String for each verb: otherwise %d would print the fields, with a complaint beside each.
func (s Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// SameAs reports whether a call with one session is like a call with the other.
func (s Session) SameAs(o Session) bool {
	return s.GUID == o.GUID && slices.Equal(s.Cookies, o.Cookies) && s.GatewayURL == o.GatewayURL && s.SignedInAt.Equal(o.SignedInAt)
}

// Fingerprint returns a short text by which people can compare GUIDs without seeing a character of them. It is empty for a GUID
// that is short enough to be found by trying.
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
	_ = e.Encode(record{s.GUID, s.Cookies, s.GatewayURL, s.SignedInAt}) // fails only for years that DecodeSession would not take either
	return bytes.TrimSpace(b.Bytes())
}

const (
	maxGUID    = 256
	maxCookies = 32
	maxURL     = 2048
)

// DecodeSession reads a session: a JSON object, or just the GUID as plain text. Only a missing or unusable GUID makes it
// fail; an optional field that cannot be used is left out and reported in LeftOut. Errors and reports say which field is wrong
// and what would be right, and show nothing of what was given: it may be a credential that slipped into another field.
func DecodeSession(data []byte) (Session, error) {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, bom))
	var s Session
	switch {
	case len(text) == 0:
		return s, errors.New("session: empty; want a JSON object or a GUID")
	case isUTF16(text):
		return s, errors.New("session: text in UTF-16; want UTF-8")
	case text[0] == '"' || text[0] == '[':
		// These are visible characters, but what begins so was meant to be JSON.
		return s, errors.New("session: neither a JSON object nor a GUID as plain text, without quotes or brackets")
	case text[0] != '{':
		var err error
		s.GUID, err = readGUID(string(text))
		return s, err
	case !json.Valid(text):
		return s, errors.New("session: begins like a JSON object but is not valid JSON")
	}
	fields := map[string][]byte{}
	w := walk{text: text, at: 1}
	for name, value, ok := w.member(); ok; name, value, ok = w.member() {
		if value[0] != 'n' {
			fields[string(name)] = value
		}
	}
	raw := fields["guid"]
	if raw == nil {
		return s, errors.New("guid: missing; want the GUID of the agent's session")
	}
	guid, ok := unquote(raw)
	if !ok {
		return s, errors.New("guid: not a string; want the GUID of the agent's session")
	}
	var err error
	if s.GUID, err = readGUID(guid); err != nil {
		return Session{}, err
	}
	s.setOptional(fields)
	return s, nil
}

func (s *Session) setOptional(fields map[string][]byte) {
	if raw := fields["cookies"]; raw != nil {
		s.Cookies, s.LeftOut = readCookies(raw)
	}
	if raw := fields["gateway_url"]; raw != nil {
		if text, ok := unquote(raw); ok && validBase(text) {
			s.GatewayURL = text
		} else {
			s.LeftOut = append(s.LeftOut, "gateway_url: want an http or https URL with a host, and neither user, query nor fragment; left out")
		}
	}
	if raw := fields["signed_in_at"]; raw != nil {
		var wrong string
		if s.SignedInAt, wrong = instant(raw); wrong != "" {
			s.LeftOut = append(s.LeftOut, "signed_in_at: "+wrong+"; "+wantInstant+"; left out")
		}
	}
}

// Check returns what [DecodeSession] would not read back of the record that [EncodeSession] makes of s, for whoever is about to write it.
func (s Session) Check() error {
	back, err := DecodeSession(EncodeSession(s))
	if err == nil && len(back.LeftOut) > 0 {
		err = errors.New(strings.TrimSuffix(back.LeftOut[0], "; left out"))
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
			return "", fmt.Errorf("guid: byte %d of %d is not a visible ASCII character", i+1, len(s))
		}
	}
	return s, nil
}

func validBase(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && (u.Scheme == "https" || u.Scheme == "http") &&
		u.Hostname() != "" && u.User == nil && !strings.ContainsAny(s, "?#")
}
