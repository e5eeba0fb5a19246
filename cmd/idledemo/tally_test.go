package main

import (
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

func ending(o messages.Outcome, seq uint64, index int) desk.Event {
	return desk.Event{Result: messages.Result{Outcome: o, AgentID: "1001", ChangeSeq: seq, ChangeIndex: index}}
}

func TestTallyWantsExactlyOneEnding(t *testing.T) {
	tally := newTally()
	tally.expect(place{7, 0}, awaited{})
	tally.expect(place{7, 1}, awaited{})
	if tally.add(ending(messages.Applied, 8, 0)) {
		t.Error("an ending of somebody else's change counts")
	}
	if tally.add(ending(messages.Waiting, 7, 0)) || tally.add(ending(messages.Reapplied, 7, 0)) {
		t.Error("what is no ending counts")
	}
	if !tally.add(ending(messages.Applied, 7, 0)) || len(tally.open) != 1 {
		t.Error("an ending does not count")
	}
	if tally.wrong() == nil {
		t.Error("a change without an ending is not noticed")
	}
	tally.add(ending(messages.Failed, 7, 1))
	if err := tally.wrong(); err != nil {
		t.Error(err)
	}
	tally.add(ending(messages.Expired, 7, 1))
	if tally.wrong() == nil {
		t.Error("a second ending is not noticed")
	}
}
