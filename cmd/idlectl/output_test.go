package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
)

// A scheduler mails whatever a command writes to standard error.
func TestStandardErrorOnlyForErrors(t *testing.T) {
	s := newSite(t)
	s.serve(nil)
	for _, args := range [][]string{{"publish", "-", "--wait", "--batch", "b"}, {"publish", "-", "--quiet"}, {"publish", "-", "--wait", "--json"}} {
		o := s.runWith(t.Context(), shift(3), args...)
		if o.status != statusFine || o.errout != "" {
			t.Errorf("%s: status %d, standard error %q", args, o.status, o.errout)
		}
	}
}

// With --json each verb has one shape, and an error is JSON too.
func TestFaultsAsJSON(t *testing.T) {
	s := newSite(t)
	away := &site{t: t, url: "nats://127.0.0.1:1", names: s.names}
	for _, test := range []struct {
		at     *site
		args   []string
		status int
		says   string
	}{
		{s, []string{"publish", "--json"}, statusUsage, "want a file"},
		{s, []string{"results", "--json", "--last", "x"}, statusUsage, "want a whole number"},
		{s, []string{"dead", "show", "7", "--json"}, statusFailed, "no dead letter 7"},
		{s, []string{"explain", "7", "--json"}, statusUsage, "is not an agent"},
		{s, []string{"status", "--json"}, statusFailed, "no worker answers"},
		{away, []string{"status", "--json"}, statusUnreachable, "127.0.0.1:1"},
	} {
		o := test.at.run(test.args...)
		var f fault
		if err := json.Unmarshal([]byte(o.errout), &f); err != nil || o.status != test.status || f.Status != test.status || !strings.Contains(f.Error, test.says) {
			t.Errorf("%s: status %d, %q (%v)", test.args, o.status, o.errout, err)
		}
	}
}

func TestReportsHaveOneShape(t *testing.T) {
	s := newSite(t)
	s.serve(nil)
	var want string
	for name, test := range map[string]struct {
		text   string
		args   []string
		status int
	}{
		"published": {shift(2), nil, statusFine},
		"dry":       {shift(2), []string{"--dry-run"}, statusFine},
		"awaited":   {shift(2), []string{"--wait"}, statusFine},
		"problems":  {"agent_id,flag\n99,true\n", nil, statusUsage},
	} {
		o := s.runWith(t.Context(), test.text, append([]string{"publish", "-", "--json"}, test.args...)...)
		var report map[string]json.RawMessage
		if err := json.Unmarshal([]byte(o.out), &report); err != nil || o.status != test.status {
			t.Fatalf("%s: status %d, %v: %s%s", name, o.status, err, o.out, o.errout)
		}
		for field, value := range report {
			if string(value) == "null" {
				t.Errorf("%s: %s is null", name, field)
			}
		}
		if got := shape(report); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%s has the fields %s, others %s", name, got, want)
		}
	}
}

func shape(m map[string]json.RawMessage) string {
	text, _ := json.Marshal(func() map[string]bool {
		names := map[string]bool{}
		for name := range m {
			names[name] = true
		}
		return names
	}())
	return string(text)
}

// closed is the end of a pipe whose reader has gone.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestPipeWhoseReaderCloses(t *testing.T) {
	s := newSite(t)
	s.someResults()
	var errout bytes.Buffer
	for _, args := range [][]string{{"results", "--no-follow", "--json"}, {"dead", "list"}, {"status", "--json"}, {"--help"}} {
		if status := run(t.Context(), args, s.environment, strings.NewReader(""), closed{}, &errout); status != statusFine || errout.Len() > 0 {
			t.Errorf("%s: status %d, standard error %q", args, status, errout.String())
		}
	}
}
