package desk

import (
	"strings"
	"testing"

	"idlepolicy/messages"
)

// A replay that fails is replayed under the first one's name, else that name would be lost in the end.
func TestReplayNamesTheFirstChange(t *testing.T) {
	for id, want := range map[string]string{
		"38":                             "replay-150-of-38",
		"replay-149-of-38":               "replay-150-of-38",
		"replay-149-of-replay-148-of-38": "replay-150-of-38", // as older versions have named it
		"replay-149-of-":                 "replay-150-of-replay-149-of-",
		"replay-of-38":                   "replay-150-of-replay-of-38",
		"my-replay-1-of-38":              "replay-150-of-my-replay-1-of-38",
		strings.Repeat("é", 64):          "replay-150-of-" + strings.Repeat("é", 57),
	} {
		if got := replayID(Letter{Seq: 150, Result: messages.Result{ChangeID: id}}); got != want {
			t.Errorf("the replay of %s is %s, want %s", id, got, want)
		}
	}
}
