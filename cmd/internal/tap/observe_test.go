package tap

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadRequest(t *testing.T) {
	for _, test := range []struct {
		method, path string
		kind         kind
		agent        string
	}{
		{"PUT", "/agentgateway/resource/onlineagent/1001", signIn, "1001"},
		{"PUT", "/agentgateway/resource/onlineagent/1001/forcelogin", signIn, "1001"},
		{"GET", "/agentgateway/resource/agentevent/1001", heartbeat, "1001"},
		{"POST", "/agentgateway/resource/onlineagent/1001/handshake", heartbeat, "1001"},
		{"PUT", "/agentgateway/resource/onlineagent/1001/updateGuid", updateGUID, "1001"},
		{"DELETE", "/agentgateway/resource/onlineagent/1001/logout", signOut, "1001"},
		{"DELETE", "/agentgateway/resource/onlineagent/1001/forcelogout", signOut, "1001"},
		{"DELETE", "/agentgateway/resource/onlineagent/1001/forcelogoutwithreason/7", signOut, "1001"},
		{"GET", "/agentgateway/resource/onlineagent/1001/logout", other, "1001"},
		{"POST", "/agentgateway/resource/onlineagent/1001/autoenteridle/true", other, "1001"},
		{"POST", "/agentgateway/resource/onlineagent/1001/saybusy/", other, "1001"},
		{"POST", "/agentgateway/resource/voicecall/1001/answer", other, "1001"},
		{"PUT", "/agentgateway/resource/onlineagent/99", other, ""},
		{"PUT", "/agentgateway/resource/onlineagent/01001", other, ""},
		{"PUT", "/agentgateway/resource/onlineagent/1001/../1002", other, "1001"},
		{"PUT", "/onlineagent/1001", other, ""},
		{"GET", "/", other, ""},
	} {
		r := readRequest(test.method, test.path, http.Header{"Guid": {"JSESSIONID=g1"}}, time.Now())
		if r.kind != test.kind || r.agent != test.agent {
			t.Errorf("%s %s: %v of %q, want %v of %q", test.method, test.path, r.kind, r.agent, test.kind, test.agent)
		}
		if want := "g1"; r.kind != signIn && r.guid != want {
			t.Errorf("%s %s shows %q", test.method, test.path, r.guid)
		}
	}
}

func TestLearn(t *testing.T) {
	given := http.Header{"Set-Guid": {"JSESSIONID=g2"}, "Set-Cookie": {"node=7; Path=/; HttpOnly", "old=; Max-Age=0", "bad cookie"}}
	for _, test := range []struct {
		name  string
		kind  kind
		h     http.Header
		body  string
		want  Kind
		guid  string
		agent string
	}{
		{"sign-in", signIn, given, good, SignedIn, "g2", "1001"},
		{"sign-in, code as a number", signIn, given, `{"retcode": 0}`, SignedIn, "g2", "1001"},
		{"sign-in, GUID in Guid", signIn, http.Header{"Guid": {"g2"}}, good, SignedIn, "g2", "1001"},
		{"sign-in elsewhere", signIn, given, `{"retcode": "100-002"}`, Passed, "", ""},
		{"sign-in without a code", signIn, given, `{}`, Passed, "", ""},
		{"sign-in without a GUID", signIn, http.Header{}, good, Passed, "", ""},
		{"sign-in, a page", signIn, given, `<html>0</html>`, Passed, "", ""},
		{"poll", heartbeat, http.Header{}, good, Answered, "", "1001"},
		{"poll that rotates", heartbeat, given, good, Answered, "g2", "1001"},
		{"poll that rotates without a code", heartbeat, given, `{}`, Passed, "g2", "1001"},
		{"poll, not signed in", heartbeat, http.Header{}, `{"retcode": "100-006"}`, Refused, "", "1001"},
		{"poll, signed out", heartbeat, http.Header{}, `{"retcode": "100-008"}`, Refused, "", "1001"},
		{"poll, no permission", heartbeat, http.Header{}, `{"retcode": "000-003"}`, Passed, "", "1001"},
		{"updateGuid", updateGUID, http.Header{}, `{"retcode": "0", "result": {"guid": "JSESSIONID=g2"}}`, Answered, "g2", "1001"},
		{"updateGuid, refused", updateGUID, http.Header{}, `{"retcode": "1", "result": {"guid": "g2"}}`, Passed, "", "1001"},
		{"updateGuid, a text", updateGUID, http.Header{}, `{"retcode": "0", "result": ""}`, Answered, "", "1001"},
		{"sign-out", signOut, http.Header{}, good, SignedOut, "", "1001"},
		{"sign-out, refused", signOut, http.Header{}, `{"retcode": "100-009"}`, Passed, "", "1001"},
		{"any other", other, given, good, Accepted, "g2", "1001"},
		{"any other, not signed in", other, http.Header{}, `{"retcode": "100-006"}`, Refused, "", "1001"},
		{"any other, without a code", other, http.Header{}, `{}`, Passed, "", "1001"},
		{"a GUID that no record can hold", heartbeat, http.Header{"Set-Guid": {"{\"guid\":\"x\"}"}}, good, Answered, "", "1001"},
		{"a GUID with attributes", heartbeat, http.Header{"Set-Guid": {"JSESSIONID=g2; Path=/"}}, good, Answered, "g2", "1001"},
	} {
		e := learn(&request{kind: test.kind, agent: "1001", guid: "g1"}, test.h, []byte(test.body))
		if e.Kind != test.want || e.GUID != test.guid || e.Agent != test.agent {
			t.Errorf("%s: kind %d, GUID %q, agent %q; want %d, %q, %q", test.name, e.Kind, e.GUID, e.Agent, test.want, test.guid, test.agent)
		}
		if cookies := e.Cookies; e.GUID != "" && len(test.h["Set-Cookie"]) > 0 && !slices.Equal(cookies, []string{"node=7"}) {
			t.Errorf("%s: cookies %q", test.name, cookies)
		}
	}
}

func TestPeek(t *testing.T) {
	text := `{"retcode": "0"}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	for _, test := range []struct {
		name   string
		body   io.Reader
		packed bool
		early  bool // understood with the last byte, before the end is read
		want   string
	}{
		{"at once", strings.NewReader(text), false, true, text},
		{"byte by byte", iotest.OneByteReader(strings.NewReader(text)), false, false, text},
		{"with the end", iotest.DataErrReader(strings.NewReader(text)), false, true, text},
		{"packed", &packed, true, true, text},
		{"not packed at all", strings.NewReader(text), true, false, ""},
		{"too long", strings.NewReader(strings.Repeat(" ", mostPeeked) + text), false, false, ""},
		{"broken off", io.MultiReader(strings.NewReader(text[:5]), iotest.ErrReader(io.ErrUnexpectedEOF)), false, false, ""},
	} {
		got, calls := "", 0
		p := &peek{ReadCloser: io.NopCloser(test.body), packed: test.packed, done: func(body []byte) { got = string(body); calls++ }}
		var passed bytes.Buffer
		b := make([]byte, 1<<17)
		n, err := p.Read(b)
		if (calls == 1 && got == test.want) != test.early && test.want != "" {
			t.Errorf("%s: understood with the first piece: %d calls, %q", test.name, calls, got)
		}
		passed.Write(b[:n])
		if err == nil {
			_, _ = passed.ReadFrom(p)
		}
		_ = p.Close()
		if got != test.want || calls != 1 {
			t.Errorf("%s: %d calls, with %q, want %q", test.name, calls, got, test.want)
		}
	}
}

// FuzzLearn: whatever comes in is data. What it says can always be stored, and only a sign-in begins a session.
func FuzzLearn(f *testing.F) {
	f.Add("PUT", "/agentgateway/resource/onlineagent/1001", "g1", "JSESSIONID=g2", "node=7; Path=/", `{"retcode":"0","result":{"guid":"g3"}}`)
	f.Add("GET", "/agentgateway/resource/agentevent/1001", "", "", "", `{"retcode":100}`)
	f.Fuzz(func(t *testing.T, method, path, shows, gives, cookie, body string) {
		r := readRequest(method, path, http.Header{"Guid": {shows}, "Cookie": {cookie}}, time.Now())
		e := learn(&r, http.Header{"Set-Guid": {gives}, "Set-Cookie": {cookie}}, []byte(body))
		if e.Kind == SignedIn && (method != http.MethodPut || e.GUID == "") {
			t.Errorf("%s %s signs in", method, path)
		}
		for _, guid := range []string{e.GUID, e.Shown} {
			if guid != "" && readGUID(guid) != guid {
				t.Errorf("GUID %q", guid)
			}
		}
		for _, pair := range slices.Concat(e.Cookies, e.Sent) {
			if strings.ContainsAny(pair, "\r\n;, ") || !strings.Contains(pair, "=") {
				t.Errorf("cookie %q", pair)
			}
		}
	})
}

// FuzzPeek: what passes is what came, however it is cut.
func FuzzPeek(f *testing.F) {
	f.Add([]byte(`{"retcode": "0"}`), true)
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		calls := 0
		p := &peek{ReadCloser: io.NopCloser(iotest.HalfReader(bytes.NewReader(body))), packed: packed, done: func([]byte) { calls++ }}
		got, err := io.ReadAll(p)
		_ = p.Close()
		if err != nil || !bytes.Equal(got, body) || calls != 1 {
			t.Errorf("%d bytes of %d, %d calls, %v", len(got), len(body), calls, err)
		}
	})
}
