package worker

import (
	"slices"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// FakeJournal gives the fake journal to its contract test, which imports this package and so must stand outside it.
type FakeJournal struct {
	Journal
	fake *fakeJournal
	seq  uint64
	now  time.Time
	held map[uint64]time.Time
}

func NewFakeJournal(*testing.T) *FakeJournal {
	f := &FakeJournal{fake: newFakeJournal(), now: dawn, held: map[uint64]time.Time{}}
	f.Journal = f.fake
	f.fake.holds = func(seq uint64, stored time.Time) bool { return f.held[seq].Equal(stored) }
	return f
}

func (f *FakeJournal) Publish(string) (uint64, time.Time) {
	f.seq++
	f.now = f.now.Add(time.Millisecond)
	f.held[f.seq] = f.now
	return f.seq, f.now
}

func (f *FakeJournal) Letters() (all []ledger.Position) {
	f.fake.set(func() {
		for _, letter := range f.fake.letters {
			all = append(all, letter.Pos)
		}
	})
	return all
}

func (f *FakeJournal) Summaries(id string) (all []messages.BatchSummary) {
	f.fake.set(func() { all = slices.Clone(f.fake.summaries) })
	return slices.DeleteFunc(all, func(s messages.BatchSummary) bool { return s.BatchID != id })
}
