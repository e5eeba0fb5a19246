package main

import (
	"encoding/json"
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
