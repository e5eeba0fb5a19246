package stream

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// A process that was frozen after its message came may find another one's pin in the consumer's information. The record in
// the control bucket says whose it is, and the owner notices nothing.
func TestPinOfAnotherProcessIsNotTaken(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	s.waitFinished()
	late := &Owner{
		Conn: s.nc, Layout: s.layout, Worker: &worker.Worker{Sessions: worker.NewSessions()}, Name: "a", Log: quiet,
		js: s.js, process: "late", pin: pinned(s.consumer()),
	}
	if _, err := late.begin(t.Context(), s.consumer()); !errors.Is(err, errClaimed) {
		t.Errorf("it takes over: %v", err)
	}
	if late.pin != "" {
		t.Error("it keeps the pin")
	}
	record, _, err := late.readOwners(t.Context())
	if err != nil || record.Process != a.owner.process {
		t.Errorf("the record is %+v, %v", record, err)
	}
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.waitFinished()
	s.wantResults("applied 1001 c1")
}

// Whoever cannot read the ledgers that a newer version writes would end changes twice.
func TestWorkerLeavesTheSiteOfANewerVersionAlone(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	s.waitFinished()
	a.finish()
	o := &Owner{Layout: s.layout, js: s.js}
	record, rev, err := o.readOwners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record.Name, record.Format = "newer", ledgerFormat+1
	if _, err := o.writeOwners(t.Context(), record, rev); err != nil {
		t.Fatal(err)
	}
	b := s.start("b")
	s.wait("b says why it does not take part", func() bool { return strings.Contains(b.owner.State().Trouble, "newer version") })
	if role := b.owner.State().Role; role == view.RoleOwner {
		t.Errorf("its role is %s", role)
	}
}

// Two errors of one kind that take turns are one trouble: one warning while it lasts, and not another one for a kind that
// comes and goes.
func TestAlternatingTroubleIsOneWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &notebook{}
		var met troubles
		met.logTo(slog.New(slog.NewTextHandler(log, nil)))
		for range 100 {
			met.report("letters", errors.New("one"))
			met.report("letters", errors.New("two"))
			met.report("results", nil)
		}
		met.report("letters", nil)
		met.report("letters", errors.New("three"))
		if said := log.lines("level=WARN"); len(said) != 1 {
			t.Errorf("%d warnings: %q", len(said), said)
		}
		if met.String() != "letters: three" {
			t.Errorf("State says %q", met.String())
		}
		met.report("letters", nil)
		time.Sleep(warnAgain)
		met.report("letters", errors.New("four"))
		if said := log.lines("level=WARN"); len(said) != 2 {
			t.Errorf("%d warnings a minute later: %q", len(said), said)
		}
	})
}

// A server whose disk is full does not answer at all.
func TestTroubleWithoutAnAnswerNamesTheDisk(t *testing.T) {
	var met troubles
	met.report("results are not stored", jetstream.ErrAsyncPublishTimeout)
	if text := met.String(); text != "results are not stored: timeout waiting for ack; the server does not say that it stored it: is its disk full or slow?" {
		t.Errorf("it says %q", text)
	}
}
