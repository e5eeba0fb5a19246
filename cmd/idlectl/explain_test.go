package main

import (
	"encoding/json"
	"testing"
	"time"

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
