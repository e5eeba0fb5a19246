package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

const secret = "3f2504e0-4f89-11d3-9a0c-0305e82c3301.AgentGateway1"

func TestDecodeSession(t *testing.T) {
	long := strings.Repeat("g", 256)
	for _, test := range []struct {
		data string
		want Session
	}{
		{secret, Session{GUID: secret}},
		{" \r\n" + secret + "\n", Session{GUID: secret}},
		{"JSESSIONID=" + secret, Session{GUID: secret}},
		{long, Session{GUID: long}},
		{"!~", Session{GUID: "!~"}},
		{"\ufeff" + secret, Session{GUID: secret}},
		{`{"guid":"` + secret + `"}`, Session{GUID: secret}},
		{` {"guid":"JSESSIONID=` + secret + `","GUID":"x","x":[{}],"cookies":null,"gateway_url":null,"signed_in_at":null}` + "\n", Session{GUID: secret}},
		{`{"guid":"a","cookies":[]}`, Session{GUID: "a"}},
		{`{"guid":"a","cookies":["n=","!#$%&'*+-.^_|~` + "`" + `=v=w","q=\"v\"","e=!#$%&'()*+-./:<=>?@[]^_{|}~"]}`, Session{
			GUID: "a", Cookies: []string{"n=", "!#$%&'*+-.^_|~`=v=w", `q="v"`, "e=!#$%&'()*+-./:<=>?@[]^_{|}~"},
		}},
		{`{"guid":"a","gateway_url":"https://10.1.2.3:8043"}`, Session{GUID: "a", GatewayURL: "https://10.1.2.3:8043"}},
		{`{"guid":"a","gateway_url":"http://[::1]:8043/base"}`, Session{GUID: "a", GatewayURL: "http://[::1]:8043/base"}},
		{`{"guid":"a","signed_in_at":"2026-11-22T18:00:00+01:00"}`, Session{GUID: "a", SignedInAt: at("2026-11-22T17:00:00Z")}},
	} {
		got, err := DecodeSession([]byte(test.data))
		if err != nil || !got.SameAs(test.want) {
			t.Errorf("%s: got %q, %v", test.data, []any{got.GUID, got.Cookies, got.GatewayURL, got.SignedInAt}, err)
			continue
		}
		if strings.Contains(test.data, "{") { // a GUID as plain text is not JSON
			checkSchema(t, "session", []byte(test.data), true)
		}
		if again, err := DecodeSession(EncodeSession(got)); err != nil || !again.SameAs(got) {
			t.Errorf("%s: encoded again: %v", test.data, err)
		}
	}
}

func TestDecodeSessionRefuses(t *testing.T) {
	for data, field := range map[string]string{
		"": "session: empty", "  \n": "session: empty", "\ufeff": "session: empty", "\xff\xfe{\x00": "session: text in UTF-16",
		`"` + secret + `"`: "session: neither", `["` + secret + `"]`: "session: neither",
		`{"guid":"` + secret + `"`: "session: begins", `{"guid":"` + secret + `"} x`: "session: begins", "{" + secret + "}": "session: begins",
		`{}`: "guid: missing", `{"GUID":"x"}`: "guid: missing", `{"guid":null}`: "guid: missing",
		`{"guid":17}`: "guid: not a string", `{"guid":""}`: "guid: 0 bytes", "JSESSIONID=": "guid: 0 bytes", `{"guid":"JSESSIONID="}`: "guid: 0 bytes",
		strings.Repeat("g", 257): "guid: 257 bytes",
		"se cret":                "guid: byte 3", "se\tcret": "guid: byte 3", "se\u00a0cret": "guid: byte 3", "sec\x7f": "guid: byte 4",
		`{"guid":"se\r\ncret"}`: "guid: byte 3", `{"guid":" secret"}`: "guid: byte 1",
		`{"guid":"` + secret + `; Path=/"}`: "guid: byte",
	} {
		s, err := DecodeSession([]byte(data))
		checkSchema(t, "session", []byte(data), err == nil)
		if err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%.80s: got %v, want %s", data, err, field)
			continue
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), secret[:4]) || s.GUID != "" || s.Cookies != nil {
			t.Errorf("%.80s: shows the credential: %v", data, err)
		}
	}
}

// An optional field that cannot be used is left out and reported, and the rest of the record is used.
func TestDecodeSessionLeavesOut(t *testing.T) {
	for data, report := range map[string]string{
		`{"guid":"g","cookies":["n=v"` + strings.Repeat(`,"n=v"`, 32) + `]}`: "cookies: more than 32",
		`{"guid":"g","cookies":["n=v",7]}`:                                   "cookies: number 2",
		`{"guid":"g","cookies":["secret"]}`:                                  "cookies: number 1",
		`{"guid":"g","cookies":["=secret"]}`:                                 "cookies: number 1",
		`{"guid":"g","cookies":["a b=secret"]}`:                              "cookies: number 1",
		`{"guid":"g","cookies":["a=secret,x"]}`:                              "cookies: number 1",
		`{"guid":"g","cookies":["a=\"secret"]}`:                              "cookies: number 1",
		`{"guid":"g","cookies":["a=sec\\ret"]}`:                              "cookies: number 1",
		`{"guid":"g","cookies":["a=sec\nret"]}`:                              "cookies: number 1",
		`{"guid":"g","cookies":["a=é"]}`:                                     "cookies: number 1",
		`{"guid":"g","gateway_url":7}`:                                       "gateway_url: ",
		`{"guid":"g","gateway_url":""}`:                                      "gateway_url: ",
		`{"guid":"g","gateway_url":"secret"}`:                                "gateway_url: ",
		`{"guid":"g","gateway_url":"ftp://secret"}`:                          "gateway_url: ",
		`{"guid":"g","gateway_url":"https://"}`:                              "gateway_url: ",
		`{"guid":"g","gateway_url":"https://:8043"}`:                         "gateway_url: ",
		`{"guid":"g","gateway_url":"https:secret"}`:                          "gateway_url: ",
		`{"guid":"g","gateway_url":"https://u:secret@h"}`:                    "gateway_url: ",
		`{"guid":"g","gateway_url":"https://h?secret"}`:                      "gateway_url: ",
		`{"guid":"g","gateway_url":"https://h?"}`:                            "gateway_url: ",
		`{"guid":"g","gateway_url":"https://h#secret"}`:                      "gateway_url: ",
		`{"guid":"g","gateway_url":"https://h/%zzsecret"}`:                   "gateway_url: ",
		`{"guid":"g","signed_in_at":"secret"}`:                               "signed_in_at: ",
		`{"guid":"g","signed_in_at":1700000000}`:                             "signed_in_at: ",
		`{"guid":"g","signed_in_at":"2026-11-22T18:00:00"}`:                  "signed_in_at: ",
		`{"guid":"g","cookies":7}`:                                           "cookies: neither",
		`{"guid":"g","cookies":{"a b":"secret"}}`:                            "cookies: one of them",
		`{"guid":"g","cookies":{"a":["secret"]}}`:                            "cookies: one of them",
		`{"guid":"g","cookies":"secret"}`:                                    "cookies: one of them",
	} {
		s, err := DecodeSession([]byte(data))
		checkSchema(t, "session", []byte(data), true)
		if err != nil || s.GUID != "g" || len(s.LeftOut) != 1 || !strings.HasPrefix(s.LeftOut[0], report) || !strings.HasSuffix(s.LeftOut[0], "left out") {
			t.Errorf("%.80s: got %v, %q, want %s", data, err, s.LeftOut, report)
			continue
		}
		if strings.Contains(s.LeftOut[0], "secret") || s.GatewayURL != "" || !s.SignedInAt.IsZero() {
			t.Errorf("%.80s: got %q, %q, %v", data, s.LeftOut[0], s.GatewayURL, s.SignedInAt)
		}
		checkSentence(t, s.LeftOut[0])
	}
}

// Programs keep cookies in several forms.
func TestDecodeSessionCookies(t *testing.T) {
	for cookies, want := range map[string]string{
		`["a=1","b=2"]`: "a=1|b=2",
		`["a=1; Path=/; HttpOnly; Secure","Set-Cookie: b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"]`: "a=1|b=2",
		`["a=1; b=2"]`:            "a=1", // the first pair of a line counts
		`["a=1","bad","c=3"]`:     "a=1|c=3",
		`"a=1; b=2"`:              "a=1|b=2",
		`"a=1;b=2;"`:              "a=1|b=2",
		`"Cookie: a=1; b=2"`:      "a=1|b=2",
		`"a=1; Path=/; HttpOnly"`: "a=1",
		`"path=1; b=2"`:           "path=1|b=2",
		`{"a":"1","b":2}`:         "a=1|b=2",
		`{"a":"1","a":"2"}`:       "a=1|a=2",
		`""`:                      "",
		`{}`:                      "",
	} {
		s, err := DecodeSession([]byte(`{"guid":"g","cookies":` + cookies + `}`))
		if got := strings.Join(s.Cookies, "|"); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", cookies, got, err, want)
		}
	}
}

func TestSessionCheck(t *testing.T) {
	for want, s := range map[string]Session{
		"":              {GUID: "g", Cookies: []string{"a=b"}},
		"guid: 0 bytes": {},
		"cookies: number 1 is not a name=value pair that can be sent": {GUID: "g", Cookies: []string{"a"}},
		"gateway_url: want": {GUID: "g", GatewayURL: "x"},
	} {
		err := s.Check()
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "left out")) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestSessionShowsNoCredential(t *testing.T) {
	s := Session{GUID: secret, Cookies: []string{"route=hidden"}, GatewayURL: "https://h", SignedInAt: at("2026-11-22T17:00:00Z")}
	const want = "session signed in 2026-11-22T17:00:00Z"
	if s.String() != want || s.GoString() != want || (Session{GUID: secret}).String() != "session" {
		t.Errorf("String: %s, GoString: %s", s.String(), s.GoString())
	}
	wrapped := struct {
		Session
		Rev int
	}{s, 1}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%T", "%c", "%10v", "%U"} {
		for _, v := range []any{s, &s, wrapped, []Session{s}, map[string]Session{"a": s}, struct{ S Session }{s}} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(h).Info("x", "s", s, "p", &s, "w", wrapped, "many", []Session{s})
	}
	encoded, err := json.Marshal(map[string]any{"s": s, "w": wrapped})
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(encoded)
	if text := shown.String(); strings.Contains(text, secret[:6]) || strings.Contains(text, "hidden") || strings.Contains(text, fmt.Sprintf("%x", secret[:6])) {
		t.Errorf("a credential is shown: %s", text)
	}
}

func TestSessionSameAs(t *testing.T) {
	s := Session{GUID: "g", Cookies: []string{"a=b"}, GatewayURL: "https://h", SignedInAt: at("2026-11-22T17:00:00Z")}
	same := s
	same.Cookies, same.SignedInAt = []string{"a=b"}, s.SignedInAt.In(time.FixedZone("", 3600))
	if !s.SameAs(same) {
		t.Error("the same session is another")
	}
	for name, change := range map[string]func(*Session){
		"guid":    func(o *Session) { o.GUID = "h" },
		"cookies": func(o *Session) { o.Cookies = nil },
		"url":     func(o *Session) { o.GatewayURL = "" },
		"sign-in": func(o *Session) { o.SignedInAt = time.Time{} },
	} {
		o := s
		change(&o)
		if s.SameAs(o) {
			t.Errorf("another %s is the same session", name)
		}
	}
}

func TestFingerprint(t *testing.T) {
	for _, short := range []string{"", "abcd", strings.Repeat("x", 15)} {
		if got := Fingerprint(short); got != "" {
			t.Errorf("Fingerprint(%q) = %q, want none", short, got)
		}
	}
	one := Fingerprint(secret)
	if one != Fingerprint(secret) || one == Fingerprint(secret+"x") || len(one) != 8 || strings.Contains(secret, one) {
		t.Errorf("Fingerprint(%q) = %q", secret, one)
	}
}

func FuzzSession(f *testing.F) {
	for _, seed := range samples(f, "session") {
		f.Add(seed)
	}
	f.Add([]byte(`{"guid":"JSESSIONID=JSESSIONID=x","cookies":["a=\"b\""],"gateway_url":"HTTPS://h/"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSession(data)
		if err != nil {
			checkSentence(t, err.Error())
			return
		}
		for _, text := range append([]string{s.GUID}, s.Cookies...) {
			if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Fatalf("%q cannot be sent", text)
			}
		}
		if again, err := DecodeSession(EncodeSession(s)); err != nil || !again.SameAs(s) {
			t.Fatalf("%s: %v", EncodeSession(s), err)
		}
	})
}
