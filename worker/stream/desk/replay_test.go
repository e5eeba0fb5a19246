package desk

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// A replay is the change that it repeats, except for its name and its batch: a field that a change gets one day is not lost.
func TestReplayRepeatsEveryField(t *testing.T) {
	change := messages.Change{
		AgentID: "1001", Flag: "wrap", EffectiveAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		ValidUntil: time.Date(2030, 1, 3, 3, 4, 5, 0, time.UTC), Reason: "lunch", Source: "planner",
	}
	own := []string{"ID", "BatchID", "BatchTotal", "Index", "Cancel"}
	for f, v := range reflect.ValueOf(change).Fields() {
		if v.IsZero() != slices.Contains(own, f.Name) {
			t.Errorf("this test does not say whether a replay repeats %s", f.Name)
		}
	}
	body, err := replayBody(change, "replay-1-of-2")
	if err != nil {
		t.Fatal(err)
	}
	want := change
	want.ID = "replay-1-of-2"
	if m := messages.Decode(body, "other"); len(m.Changes) != 1 || m.Changes[0] != want {
		t.Errorf("%s becomes %+v, want %+v", body, m, want)
	}
}
