package main

import (
	"testing"
	"time"

	"idlepolicy/worker"
)

// A worker that is newer than the tool may name a cause that the tool does not know.
func TestCauseWithoutASentence(t *testing.T) {
	for cause, want := range map[string]string{
		"sign-in":         "it waits for the agent to sign in",
		"something new":   "it waits for something new",
		"some\x1b[31mred": "it waits for some·[31mred",
	} {
		if got := waitsText(worker.ChangeView{WaitsFor: cause}, time.Now()); got != want {
			t.Errorf("%q: got %q, want %q", cause, got, want)
		}
	}
}
