package worker_test

import (
	"testing"

	"idlepolicy/worker"
	"idlepolicy/worker/journaltest"
)

func TestFakeJournalKeepsTheContract(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) *journaltest.Site {
		t.Helper()
		f := worker.NewFakeJournal(t)
		return &journaltest.Site{Journal: f, Incarnation: 1, Publish: f.Publish, Letters: f.Letters, Summaries: f.Summaries}
	})
}
