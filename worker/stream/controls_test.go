package stream

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// operator returns a service beside a replica that only passes on what operators set: nothing is told to the worker.
func (s *site) operator(r *replica) *Service {
	return &Service{Conn: s.nc, Names: s.layout.Names, Owner: r.owner, Worker: r.owner.Worker, Log: quiet}
}

func (s *site) set(service *Service, verb string, rate *float64) {
	s.t.Helper()
	if _, err := service.set(s.t.Context(), request{Rate: rate}, verb); err != nil {
		s.t.Fatal(err)
	}
}

// gateOf is the state of the gate of a replica's worker.
func (s *site) gateOf(r *replica) view.GateState {
	s.t.Helper()
	v, ok := r.owner.Worker.View(s.t.Context())
	if !ok {
		s.t.Fatal("no term runs")
	}
	return v.Gate
}

// A process that has just started takes over knowing what operators have set, whether or not it was told of it yet.
func TestPauseAndRateHoldOverATakeover(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	rate := 7.0
	s.set(s.operator(a), "pause", nil)
	s.set(s.operator(a), "rate", &rate)
	a.owner.Conn.Close() // as good as dead
	b := s.startOwner("b")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("it is due", func() bool { v, ok := b.owner.Worker.View(t.Context()); return ok && v.Due == 1 })
	if g := s.gateOf(b); g.State != "paused" || g.Limit != rate {
		t.Errorf("the gate of the new owner is %+v", g)
	}
	if calls := s.gateway.made(); len(calls) > 0 {
		t.Errorf("calls during the pause: %q", calls)
	}
	ctx, over := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over()
	service := s.operator(b)
	wg.Go(func() { service.followControls(ctx) })
	s.set(service, "resume", nil)
	s.waitFinished()
	s.wantResults("applied 1001 c1")
	if g := s.gateOf(b); g.Limit != rate {
		t.Errorf("after the pause the limit is %v", g.Limit)
	}
}

func TestControlsThatWereDeleted(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	kv, err := s.js.KeyValue(t.Context(), s.layout.Names.ControlBucket())
	if err != nil {
		t.Fatal(err)
	}
	service := s.operator(a)
	ctx, over := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over()
	wg.Go(func() { service.followControls(ctx) })
	for range 2 {
		s.set(service, "pause", nil)
		s.wait("it is paused", func() bool { return s.gateOf(a).State == "paused" })
		if err := kv.Delete(t.Context(), controlsKey); err != nil {
			t.Fatal(err)
		}
		s.wait("it goes on", func() bool { return s.gateOf(a).State == "open" })
	}
}

// What an operator set outlives every process, so it has to be possible to take it back.
func TestOperatorsRateIsTakenBack(t *testing.T) {
	s := newSite(t)
	service := s.operator(s.startOwner("a"))
	rate := 7.0
	for _, step := range []struct {
		request
		want *float64
	}{{request{Rate: &rate}, &rate}, {request{Configured: true}, nil}} {
		if _, err := service.set(t.Context(), step.request, "rate"); err != nil {
			t.Fatal(err)
		}
		got, err := OperatorsRate(t.Context(), s.nc, s.layout.Names)
		if err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("after %+v the rate is %v, %v", step.request, got, err)
		}
	}
	for _, bad := range []request{{}, {Rate: &rate, Configured: true}} {
		if _, err := service.set(t.Context(), bad, "rate"); !errors.Is(err, errRequest) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// More operators at once than there are tries would be needed for one of them to fail.
func TestConcurrentControls(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	service := s.operator(a)
	var wg sync.WaitGroup
	failed := make(chan error, answersAtOnce)
	for i := range answersAtOnce {
		rate := float64(i)
		wg.Go(func() {
			if _, err := service.set(t.Context(), request{Rate: &rate}, "rate"); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}

// What is read at a takeover and what is followed may come in any order.
func TestOlderControlsAreNotObeyed(t *testing.T) {
	w := &worker.Worker{Sessions: worker.NewSessions(), Log: quiet}
	o := &Owner{Worker: w, Log: quiet}
	made := time.Now()
	for _, step := range []struct {
		text string
		as   revision
		want uint64
	}{
		{`{"paused":true}`, revision{made, 5}, 5},
		{`{"paused":false}`, revision{made, 4}, 5},
		{"", revision{made, 0}, 5},
		{`{"rate":3}`, revision{made, 6}, 6},
		{`{"rate":4}`, revision{made.Add(time.Second), 1}, 1}, // the bucket was created again
		{`{"rate":5}`, revision{made, 2}, 2},                  // or another server leads it, which has another time for that
	} {
		o.obey([]byte(step.text), step.as)
		if o.obeyed.rev != step.want {
			t.Errorf("after revision %d it keeps to %d, want %d", step.as.rev, o.obeyed.rev, step.want)
		}
	}
}
