package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
)

// ask runs the program to its end.
func ask(t *testing.T, env []string, args ...string) (status int, output string) {
	t.Helper()
	p := faulttest.Start(t, program, faulttest.Options{Args: args, Env: env})
	return p.Wait(), p.Output()
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"-help"}, 0, []string{"IDLE_GATEWAY_URL", "IDLE_NATS_URL", "IDLE_SHUTDOWN_GRACE", "required", "-check", "-health"}},
		{[]string{"--help"}, 0, []string{"IDLE_GATEWAY_URL"}},
		{[]string{"-version"}, 0, []string{"idleworker "}},
		{[]string{"-nonsense"}, 2, []string{"-nonsense", "-help"}},
		{[]string{"run"}, 2, []string{`"run"`, "environment"}},
	} {
		status, out := ask(t, nil, test.args...)
		if status != test.status {
			t.Errorf("%v: status %d, want %d", test.args, status, test.status)
		}
		for _, want := range test.says {
			if !strings.Contains(out, want) {
				t.Errorf("%v: does not say %q:\n%s", test.args, want, out)
			}
		}
	}
}

func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	status, out := ask(t, []string{
		"IDLE_GATEWAY_URL=http://gateway.example", "IDLE_NATS_URL=nats://user:topsecret@nats.example:x", "IDLE_RATE=-1", "IDLE_BURST=0.5",
		"IDLE_TAKEOVER=1s", "IDLE_PREFIX=Not.Good", "IDLE_GATEWAY_CA=/nowhere/ca.pem", "IDLE_LOG_LEVEL=loud", "IDLE_RATTE=5",
	})
	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	wrong := []string{
		"IDLE_GATEWAY_URL", "IDLE_NATS_URL", "IDLE_RATE", "IDLE_BURST", "IDLE_TAKEOVER", "IDLE_PREFIX", "IDLE_GATEWAY_CA",
		"IDLE_LOG_LEVEL", "IDLE_RATTE",
	}
	if len(lines) != len(wrong) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), len(wrong), out)
	}
	for _, name := range wrong {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, name+"=") || strings.HasPrefix(line, name+" ") || strings.HasPrefix(line, name+":") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d lines about %s, want 1:\n%s", n, name, out)
		}
	}
	if strings.Contains(out, "topsecret") {
		t.Errorf("shows the password:\n%s", out)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(other, newSite(t).gateway.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		env    []string
		failed []string // what the lines that begin with FAILED name; none: all is well
	}{
		{"good", nil, nil},
		{"no NATS", []string{"IDLE_NATS_URL=nats://" + closed}, []string{closed}},
		{"no gateway", []string{"IDLE_GATEWAY_URL=https://" + closed}, []string{closed}},
		{"neither", []string{"IDLE_GATEWAY_URL=https://" + closed, "IDLE_NATS_URL=nats://" + closed}, []string{"NATS", "gateway"}},
		{"another authority", []string{"IDLE_GATEWAY_CA=" + other}, []string{"IDLE_GATEWAY_CA"}},
	} {
		status, out := ask(t, s.env(test.env...), "-check")
		if want := min(1, len(test.failed)); status != want {
			t.Errorf("%s: status %d, want %d:\n%s", test.name, status, want, out)
		}
		var failed []string
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "FAILED") {
				failed = append(failed, line)
			}
		}
		if len(failed) != len(test.failed) {
			t.Errorf("%s: %d lines say FAILED, want %d:\n%s", test.name, len(failed), len(test.failed), out)
			continue
		}
		for i, want := range test.failed {
			if !strings.Contains(failed[i], want) {
				t.Errorf("%s: %s does not name %s", test.name, failed[i], want)
			}
		}
	}
	if _, err := s.js.Stream(t.Context(), names.ChangesStream()); err == nil {
		t.Error("-check made a stream")
	}
	if s.gateway.NumCalls() > 0 {
		t.Error("-check made a call")
	}
}

// closed is an address where nobody listens.
const closed = "127.0.0.1:1"

// TestCredentialsStayInside runs into everything that can be said about sessions and looks for their credentials in all
// that comes out.
func TestCredentialsStayInside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("IDLE_MAX_ATTEMPTS=2", "IDLE_GATEWAY_TIMEOUT=1s")
	secrets := s.stir(w)
	for what, text := range s.said(w) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s hold %q", what, secret)
			}
		}
	}
	if !strings.Contains(w.Output(), `"level":"DEBUG"`) {
		t.Error("the log is not that of the debug level")
	}
}

const cookie = "SERVERID=node7-0123456789abcdef"

// signInWithCookie gives an agent a session with a cookie and returns its GUID.
func (s *site) signInWithCookie(agent string) string {
	s.t.Helper()
	guid := s.gateway.SignIn(agent)
	s.gateway.RequireCookie(agent, cookie)
	s.putSession(agent, messages.Session{GUID: guid, Cookies: []string{cookie}})
	return guid
}
