package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"idlepolicy/messages"
)

// What strangers wrote into changes, and gateways into answers, moves no cursor in the terminal of whoever looks at it, and JSON is
// still the same for programs.
func TestNothingPrintedMovesTheCursor(t *testing.T) {
	const hostile = "a\x1b[2J\u009b31m\u202e\U000e0041\x7fb\r\n"
	s := newSite(t)
	bad := messages.Result{
		Outcome: messages.Failed, AgentID: "1001", Flag: "false", Retcode: hostile, Message: hostile, Reason: hostile, Source: hostile,
	}
	s.result(bad)
	s.letter(bad, `{"agent_id":"1001","flag":"false","reason":"`+hostile+"\x9b"+`"}`)
	dir := t.TempDir()
	file := filepath.Join(dir, "a\x1b[2J\u009b31m\u202e.csv")
	if err := os.WriteFile(file, []byte("agent_id,flag,x"+hostile+"\n1,true,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"results", "--no-follow"},
		{"results", "--no-follow", "--json"},
		{"explain", "1001"},
		{"explain", "1001", "--json"},
		{"dead", "list"},
		{"dead", "list", "--json"},
		{"dead", "show", "1"},
		{"dead", "show", "1", "--json"},
		{"dead", "replay", "--agent", "1001", "--dry-run"},
		{"dead", "replay", "--agent", "1001", "--dry-run", "--json"},
		{"publish", file},
		{"publish", file, "--json"},
		{"publish", file + "x"},
		{"publish", file + "x", "--json"},
		{"plan", file + "x", "--map", file},
		{"plan", file, "--map", file + "x", "--json"},
	} {
		o := s.run(args...)
		text := o.out + o.errout
		if text == "" {
			t.Errorf("%q prints nothing", args)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(text) {
			t.Errorf("%q prints at %d: %q", args, i, text)
		}
	}
	var r messages.Result
	if err := json.Unmarshal([]byte(s.run("results", "--no-follow", "--json").out), &r); err != nil || r.Reason != hostile || r.Message != hostile {
		t.Errorf("a program reads %q and %q, %v", r.Reason, r.Message, err)
	}
}
