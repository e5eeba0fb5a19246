package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An owner that was lost while it waited for the calls of the one before it may have ended what these were for: behind
// it every agent waits.
func TestOwnerLostDuringItsHold(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	lose := func(r *replica) {
		s.waitOwner(r)
		r.owner.Conn.Close() // as good as dead: what it would say at its end reaches nobody
	}
	lose(s.start("a"))
	lose(s.start("b"))
	s.signIn("1001", "g")
	c := s.startOwner("c")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.waitHeld(c, "1001")
}

// waitHeld waits until the change of an agent waits for calls of an earlier owner, and nobody was called yet.
func (s *site) waitHeld(r *replica, agent string) {
	s.t.Helper()
	s.wait(agent+" waits for the hold", func() bool {
		view, ok := r.owner.Worker.Agent(context.Background(), agent)
		return ok && view.Live != nil && view.Live.WaitsFor.String() == "hold" || len(s.gateway.made()) > 0
	})
	if calls := s.gateway.made(); len(calls) > 0 {
		s.t.Errorf("calls: %q", calls)
	}
}

// Where the record of the last owner is gone, or nobody can read it, its calls may still land all the same, and what it
// waited for itself nobody knows: every agent waits.
func TestOwnerWithoutARecordIsWaitedFor(t *testing.T) {
	for name, lose := range map[string]func(s *site, kv jetstream.KeyValue) error{
		"deleted": func(s *site, kv jetstream.KeyValue) error { return kv.Delete(s.t.Context(), ownerKey) },
		"written by hand": func(s *site, kv jetstream.KeyValue) error {
			_, err := kv.PutString(s.t.Context(), ownerKey, "nobody")
			return err
		},
		"bucket deleted": func(s *site, kv jetstream.KeyValue) error {
			return s.js.DeleteKeyValue(s.t.Context(), kv.Bucket())
		},
		"bucket and consumer deleted": func(s *site, kv jetstream.KeyValue) error {
			return errors.Join(s.js.DeleteKeyValue(s.t.Context(), kv.Bucket()),
				s.js.DeleteConsumer(s.t.Context(), s.layout.Names.ChangesStream(), consumerName))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.hold = time.Hour
			a := s.startOwner("a")
			s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
			s.wait("it waits for the agent", func() bool { return s.stored() == 1 })
			a.finish() // nobody will know that
			kv, err := s.js.KeyValue(t.Context(), s.layout.Names.ControlBucket())
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(s, kv); err != nil {
				t.Fatal(err)
			}
			b := s.startOwner("b")
			s.signIn("1001", "g")
			s.waitHeld(b, "1001")
			s.signIn("1002", "g")
			s.publish(`{"agent_id":"1002","flag":"f","id":"c2"}`)
			s.waitHeld(b, "1002")
		})
	}
}

// The first owner of a site waits for nobody, also where changes were there before it.
func TestFirstOwnerWaitsForNobody(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	s.signIn("1001", "g")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.startOwner("a")
	s.waitFinished()
	s.wantResults("applied 1001 c1")
}
