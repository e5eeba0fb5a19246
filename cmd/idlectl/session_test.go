package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/messages"
)

const guid = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"

func TestSessionIsPutListedAndDeleted(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "guid")
	if err := os.WriteFile(file, []byte("JSESSIONID="+guid+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outcomes := []outcome{
		s.run("session", "put", "1001", "--guid-file", file, "--cookie", "route=secretroute", "--gateway-url", "https://gw2:8443"),
		s.runWith(t.Context(), guid, "session", "put", "10001", "-"),
		s.runWith(t.Context(), `{"guid":"`+guid+`","signed_in_at":"2026-01-02T03:04:05Z"}`, "session", "put", "1002", "-"),
		s.run("session", "list"),
		s.run("session", "list", "--json"),
	}
	for _, o := range outcomes {
		o.want(t, statusFine)
		if strings.Contains(o.out+o.errout, guid[:4]) || strings.Contains(o.out+o.errout, "secretroute") {
			t.Errorf("a credential is shown: %s%s", o.out, o.errout)
		}
	}
	outcomes[3].want(t, statusFine, "1001", messages.Fingerprint(guid))
	var rows []sessionRow
	if err := json.Unmarshal([]byte(outcomes[4].out), &rows); err != nil || len(rows) != 3 {
		t.Fatalf("%v in %s", err, outcomes[4].out)
	}
	if got := s.session("1002").SignedInAt.Format("2006-01-02T15:04:05Z"); got != "2026-01-02T03:04:05Z" {
		t.Errorf("signed in at %s", got)
	}
	first := s.session("1001")
	if first.GUID != guid || len(first.Cookies) != 1 || first.GatewayURL != "https://gw2:8443" || first.SignedInAt.IsZero() {
		t.Errorf("the session was not written as given: %d cookies, %s", len(first.Cookies), first.GatewayURL)
	}
	s.run("session", "delete", "1001").want(t, statusFine, "agent 1001 is signed out")
	s.run("session", "delete", "1001").want(t, statusFailed, "no session of agent 1001")
	s.run("session", "put", "1001", "--guid", "0b5a0b5a0b5a0b5a").want(t, statusFine)
	s.run("session", "delete", "1001", "--json").want(t, statusFine, `"deleted": true`)
	s.run("session", "list").want(t, statusFine, "1002", "10001")
}

func (s *site) session(agent string) messages.Session {
	s.t.Helper()
	kv, err := s.js.KeyValue(s.t.Context(), s.names.SessionsBucket())
	if err != nil {
		s.t.Fatal(err)
	}
	entry, err := kv.Get(s.t.Context(), agent)
	if err != nil {
		s.t.Fatal(err)
	}
	session, err := messages.DecodeSession(entry.Value())
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

func TestSessionRefuses(t *testing.T) {
	s := newSite(t)
	for _, args := range [][]string{
		{"put", "7", "--guid", guid},
		{"put", guid, "--guid", "1001"},
		{"delete", guid},
		{"put", "1001"},
		{"put", "1001", guid},
		{"put", "1001", "--guid", guid, "-"},
		{"put", "1001", "--guid", "two " + guid},
		{"put", "1001", "--guid", guid, "--cookie", guid},
		{"put", "1001", "--guid", guid, "--gateway-url", "ftp://" + guid},
		{"put", "1001", "--guid", guid, "--signed-in-at", "noon"},
		{"delete", "7"},
		{},
	} {
		o := s.run(append([]string{"session"}, args...)...)
		o.want(t, statusUsage)
		if strings.Contains(o.out+o.errout, guid) {
			t.Errorf("%q shows a credential: %s", args, o.errout)
		}
	}
}

func TestSessionListShowsWhatCannotBeUsed(t *testing.T) {
	s := newSite(t)
	kv, err := s.js.KeyValue(t.Context(), s.names.SessionsBucket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "1001", "{"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"bob", guid} { // the second has key and value mixed up
		if _, err := kv.PutString(t.Context(), key, guid); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []outcome{s.run("session", "list"), s.run("session", "list", "--json")} {
		o.want(t, statusFine, "unusable: session: begins like", "unusable: the key is not an agent ID", "bob", "(not shown)")
		if strings.Contains(o.out+o.errout, guid) {
			t.Errorf("a credential is shown: %s%s", o.out, o.errout)
		}
	}
}
