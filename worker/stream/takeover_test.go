package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/view"
)

// consumer is what the server knows of the consumer of changes.
func (s *site) consumer() *jetstream.ConsumerInfo {
	s.t.Helper()
	c, err := s.js.Consumer(context.Background(), s.layout.Names.ChangesStream(), consumerName)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.CachedInfo()
}

// Replicas that are told different takeover times, as while that is being changed: the owner counts on its own until it is
// the owner no more.
func TestStandbyLeavesTheTakeoverTimeToTheOwner(t *testing.T) {
	s := newSite(t)
	s.layout.Takeover = 10 * time.Second
	a := s.startOwner("a")
	s.layout.Takeover = 2500 * time.Millisecond
	b := s.start("b")
	s.wait("b stands by for a", func() bool { st := b.owner.State(); return st.Role == view.RoleStandby && st.Owner == "a" })
	if kept := s.consumer().Config.PinnedTTL; kept != 10*time.Second {
		t.Errorf("the server keeps the place of the owner for %v", kept)
	}
	a.finish()
	s.waitOwner(b)
	if kept := s.consumer().Config.PinnedTTL; kept != s.layout.Takeover {
		t.Errorf("the server keeps the place of the next owner for %v", kept)
	}
}

// Where the server keeps a place for less time than the owner was told, that counts.
func TestLeaseIsNoLongerThanTheServerKeepsThePlace(t *testing.T) {
	const told = time.Hour
	l := newLease(told)
	now := time.Now()
	l.confirm(now, l.since(now), told)
	if err := l.Check(); err != nil {
		t.Errorf("confirmed: %v", err)
	}
	l.confirm(now, l.since(now), leaseMargin)
	if err := l.Check(); !errors.Is(err, ErrNoLease) {
		t.Errorf("the server lets go of the owner at once: %v", err)
	}
}

// byHand changes the consumer of changes as somebody may do it with the tools of NATS.
func (s *site) byHand(change func(c *jetstream.ConsumerConfig)) {
	s.t.Helper()
	c := s.consumer().Config
	change(&c)
	if _, err := s.js.UpdateConsumer(context.Background(), s.layout.Names.ChangesStream(), c); err != nil {
		s.t.Fatal(err)
	}
}

// lead has the test be the owner, until the server lets go of it because it does not pull any more.
func (s *site) lead() {
	s.t.Helper()
	from, err := newPuller(s.js, s.layout.Names)
	if err != nil {
		s.t.Fatal(err)
	}
	defer from.stop()
	if err := from.ask(pullRequest{Expires: time.Minute, Batch: 1}); err != nil {
		s.t.Fatal(err)
	}
	for m := range from.replies {
		if isDelivery(m) {
			return
		}
	}
}

// Nobody is picked as long as a filter keeps everything back, or the server refuses what is asked: a standby that finds
// it so sets it right.
func TestStandbyMendsWhatKeepsItOut(t *testing.T) {
	for name, change := range map[string]func(c *jetstream.ConsumerConfig){
		"a filter":       func(c *jetstream.ConsumerConfig) { c.FilterSubject = "idlepolicy.changes.late" },
		"a longest pull": func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = lookEvery / 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.startOwner("a").finish()
			s.signIn("1001", "g")
			s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
			s.lead()
			b := s.start("b")
			s.wait("b stands by", func() bool { return b.owner.State().Role == view.RoleStandby })
			s.byHand(change)
			s.waitFinished()
			s.wantResults("applied 1001 c1")
		})
	}
}

// A clean stop that finds this process taking over leaves the place to the next one at once, and without a hold where the
// last owner left none.
func TestStopWhileTakingOver(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	a := s.startOwner("a")
	s.waitFinished() // nothing is left to wake anybody: the first reset is that of who was picked
	a.finish()
	s.proxy = newProxy(t, s.server.ClientURL())
	starting := make(chan *replica, 1)
	stopping := sync.OnceFunc(func() {
		resume := s.proxy.stall()
		defer resume()
		b := <-starting
		b.stop()
		select {
		case <-b.over: // it waited for no answer
		case <-time.After(lookEvery): // it does: any answer is as good as one at once
		}
	})
	sub, err := s.nc.Subscribe("$JS.API.CONSUMER.RESET.>", func(*nats.Msg) { stopping() })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b := s.start("b")
	starting <- b
	<-b.over
	if pin := pinned(s.consumer()); pin != "" {
		t.Errorf("the server keeps the place %s", pin)
	}
	last, _, err := (&Owner{Layout: s.layout, js: s.js}).readOwners(t.Context())
	if err != nil || !last.Released {
		t.Errorf("the record of the owner is %+v, %v", last, err)
	}
}

// Somebody changes the consumer of changes while there is an owner: that one sets it right, and nothing is passed over.
func TestOwnerWhoseConsumerIsChangedByHand(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *jetstream.ConsumerConfig){
		"a filter":           func(c *jetstream.ConsumerConfig) { c.FilterSubject = "idlepolicy.changes.late" },
		"a smallest pull":    func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 1 },
		"a longest pull":     func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = pullFor / 2 },
		"a last delivery":    func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 2 },
		"a bound of pending": func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.startOwner("a")
			s.signIn("1001", "g")
			s.waitFinished()
			s.byHand(change)
			s.publish(`{"agent_id":"1002","flag":"f","id":"waits"}`)
			s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
			s.wait("the change is applied", func() bool { return s.inForce("1001") == "c1" })
			s.wait("the consumer is as it was", func() bool { return len(mended(s.consumer().Config, s.layout.consumer())) == 0 })
		})
	}
}

// A server may allow fewer messages for one pull than a worker asks for. Nothing waits for that, and it is said once.
func TestServerThatLimitsPulls(t *testing.T) {
	s := newSiteWith(t, func(o *server.Options) { o.JetStreamLimits.MaxRequestBatch = 250 })
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	for i := range 2 * pullMany {
		s.publish(fmt.Sprintf(`{"agent_id":"1001","flag":"f%d"}`, i%1000))
	}
	s.waitFinished()
	_ = a.owner.Conn.ForceReconnect() // it takes over from itself
	s.publish(`{"agent_id":"1001","flag":"last"}`)
	s.waitFinished()
	if said := log.lines("max_request_batch"); len(said) != 1 {
		t.Errorf("said %d times: %q", len(said), said)
	}
	if said := log.lines("max messages of a pull"); len(said) > 0 {
		t.Errorf("it tries to change what the server sets again: %q", said)
	}
}
