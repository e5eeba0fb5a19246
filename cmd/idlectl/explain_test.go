package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

// A worker that is newer than the tool may name a reason that the tool does not know.
func TestWaitsText(t *testing.T) {
	for word, want := range map[string]string{
		"sign-in":              "it waits for the agent to sign in",
		"session":              "it waits for a new session of the agent: the gateway refused the one it has",
		"something new":        "it waits for something that only a newer version knows",
		"some\\u001b[31mthing": "it waits for something that only a newer version knows",
	} {
		var c view.ChangeView
		if err := json.Unmarshal([]byte(`{"waits_for":"`+word+`"}`), &c); err != nil {
			t.Fatal(err)
		}
		if got := waitsText(c, time.Now()); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

// The gateway may long have been told something else than what is stored.
func TestVerdictNamesResultsThatAreNotStored(t *testing.T) {
	now := time.Now()
	x := explanation{desk.Explanation{
		Worker:  &view.AgentView{Storing: 1, StoringSince: now.Add(-time.Minute)},
		InForce: &messages.Result{Outcome: messages.Applied, Flag: "true", FinishedAt: now.Add(-time.Hour), ValidUntil: now.Add(time.Hour)},
	}}
	want := "NATS has not stored yet what became of its changes (1 result, the last progress 1m ago): what follows is older; " +
		"idlectl status says whether something is wrong"
	if text := x.verdict(now); text != want {
		t.Errorf("it says %q", text)
	}
	x.Worker.Storing = 0
	if text := x.verdict(now); text != "has idle after a call, applied 1h ago" {
		t.Errorf("with all stored it says %q", text)
	}
}

// Whoever asks why a change failed reads what to do next, as a command that does it.
func TestExplainNamesTheReplay(t *testing.T) {
	s := newSite(t)
	const body = `{"agent_id":"1001","flag":"true","id":"c-1"}`
	s.run("explain", "1001").want(t, statusFine)
	s.result(failed("1001", "c-1", 1))
	if o := s.run("explain", "1001"); o.status != statusFine || strings.Contains(o.out, "dead letter") {
		t.Errorf("without a dead letter: %d\n%s%s", o.status, o.out, o.errout)
	}
	s.letter(failed("1002", "c-0", 1), body)
	s.letter(failed("1001", "c-1", 1), body)
	s.run("explain", "1001").want(t, statusFine, "change c-1 failed", "to publish the change again: idlectl dead replay 2 --yes\n")
	s.run("dead", "replay", "2", "--yes").want(t, statusFine, "published")

	s.result(failed("1001", "c-2", 2)) // its letter is not stored yet: the older one is not its own
	if o := s.run("explain", "1001"); o.status != statusFine || strings.Contains(o.out, "dead letter") {
		t.Errorf("with the letter of another change: %d\n%s%s", o.status, o.out, o.errout)
	}

	rejected := failed("1003", "c-3", 3)
	rejected.Outcome = messages.Rejected
	s.result(rejected)
	s.letter(rejected, "garbage")
	s.run("explain", "1003").want(t, statusFine, "c-3 was rejected", "3 cannot be replayed as it is: its original cannot be used", "idlectl dead show 3\n")

	s.answer(map[string]any{"explain": view.AgentView{AgentID: "1001", Live: &view.ChangeView{ID: "c-9"}}})
	if o := s.run("explain", "1001"); o.status != statusFine || strings.Contains(o.out, "dead letter") {
		t.Errorf("while a newer change is under way: %d\n%s%s", o.status, o.out, o.errout)
	}
}
