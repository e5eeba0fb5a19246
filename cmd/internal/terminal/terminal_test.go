package terminal_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
)

func Example() {
	terminal.WriteResultHead(os.Stdout)
	_ = terminal.WriteResult(os.Stdout, time.Time{}, messages.Result{
		Outcome: messages.Failed, AgentID: "1001", Retcode: "000-002", Message: "no\nsuch agent", ChangeID: "c-1", Attempts: 1,
	})
	// Output:
	// time                 outcome     agent    flag   attempts  retcode  change                    message
	//                      failed      1001     -             1  000-002  c-1                       no·such agent
}

func TestProgressInPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := terminal.NewProgress(&out, "published", 100)
		for range 10 {
			time.Sleep(time.Second)
			p.Add(10)
		}
		p.Finish()
		want := "published 20 of 100, 10/s, 8s left\npublished 40 of 100, 10/s, 6s left\npublished 60 of 100, 10/s, 4s left\n" +
			"published 80 of 100, 10/s, 2s left\npublished 100 of 100\n"
		if out.String() != want {
			t.Errorf("said\n%swant\n%s", out.String(), want)
		}
	})
}

func TestSlowProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := terminal.NewProgress(&out, "ended", 3)
		time.Sleep(5 * time.Second)
		p.Add(1)
		if want := "ended 1 of 3, 0.2/s, 10s left\n"; out.String() != want {
			t.Errorf("said %q, want %q", out.String(), want)
		}
	})
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	for got, want := range map[string]string{
		terminal.Age(now.Add(-90*time.Minute), now):       "1h30m ago",
		terminal.Age(now.Add(1500*time.Millisecond), now): "in 1.5s",
		terminal.Age(time.Time{}, now):                    "",
		terminal.Clock(time.Time{}):                       "",
		terminal.Length(50 * time.Hour):                   "2d2h",
		terminal.Length(70 * time.Second):                 "1m10s",
		terminal.Length(time.Minute):                      "1m",
		terminal.Length(20 * time.Minute):                 "20m",
		terminal.Length(10 * time.Hour):                   "10h",
		terminal.Length(90 * time.Minute):                 "1h30m",
		terminal.Length(1234 * time.Millisecond):          "1.2s",
		terminal.Plural(1, "change"):                      "1 change",
		terminal.Plural(2, "change"):                      "2 changes",
		terminal.Clean("a\x1b[31mb\u202e"):                "a·[31mb·",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if terminal.IsTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is taken for a terminal")
	}
}

func TestOutcomesAreShownInTheirOrder(t *testing.T) {
	var out bytes.Buffer
	terminal.WriteOutcomes(&out, map[messages.Outcome]int{messages.Failed: 1, messages.Applied: 297, messages.Expired: 0})
	text := out.String()
	if a, f := strings.Index(text, "applied"), strings.Index(text, "failed"); a < 0 || f < a || strings.Contains(text, "expired") {
		t.Errorf("the table:\n%s", text)
	}
}

func TestWhoWantsNoColours(t *testing.T) {
	for _, test := range []struct {
		noColor, term string
		plain         bool
	}{
		{"", "xterm-256color", false},
		{"1", "xterm-256color", true},
		{"0", "", true}, // whatever it is set to
		{"", "dumb", true},
		{"", "", false},
	} {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		if terminal.IsPlain() != test.plain {
			t.Errorf("NO_COLOR=%q TERM=%q: plain is %t", test.noColor, test.term, !test.plain)
		}
	}
}
