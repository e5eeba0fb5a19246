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

// Whoever tries things while the sample is still on its way sets flags that the sample did not.
func TestOnlyFlagsThatNobodyElseSetsAreCompared(t *testing.T) {
	tally := newTally()
	tally.expect(place{7, 0}, awaited{})
	ours := ending(messages.Applied, 7, 0)
	ours.Flag = "false"
	tally.add(ours)
	gateway := func(string) (string, bool) { return "true", true }
	if tally.compare(gateway) == nil {
		t.Error("a flag that was not applied is not noticed")
	}
	theirs := ending(messages.Applied, 8, 0)
	theirs.Flag = "true"
	tally.add(theirs)
	if err := tally.compare(gateway); err != nil {
		t.Errorf("a flag that somebody else set: %v", err)
	}
}
