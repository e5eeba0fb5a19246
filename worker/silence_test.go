package worker

import (
	"testing"
	"time"

	"idlepolicy/worker/view"
)

// hanging is a gateway that answers after its latency, save what it takes between two instants: that is never answered
// and times out.
type hanging struct {
	*gate
	latency  time.Duration
	from, to time.Time
	open     []underWay
	made     []time.Time
	stateIn  view.GateState // at the end of the hang
}

type underWay struct {
	sent, back time.Time
	answer     Answer
}

const hangTimeout = 5 * time.Second

// run asks for calls whenever there may be one, until the end.
func (h *hanging) run(now, end time.Time) {
	for now.Before(end) {
		h.takeBack(now)
		if now.Before(h.to) {
			h.stateIn = h.state(now)
		}
		ok, again := h.ask("1999", now)
		if ok {
			h.send(now)
			continue
		}
		if len(h.open) > 0 && (again.IsZero() || h.open[0].back.Before(again)) {
			again = h.open[0].back
		}
		now = again
	}
}

func (h *hanging) send(now time.Time) {
	h.made = append(h.made, now)
	u := underWay{now, now.Add(h.latency), Answer{Class: Success, Retcode: "0", Took: h.latency}}
	if !now.Before(h.from) && now.Before(h.to) {
		u.back, u.answer = now.Add(hangTimeout), Answer{Class: Unsound, Fault: "no answer in time"}
	}
	at := len(h.open)
	for at > 0 && u.back.Before(h.open[at-1].back) {
		at--
	}
	h.open = append(h.open[:at], append([]underWay{u}, h.open[at:]...)...)
}

func (h *hanging) takeBack(now time.Time) {
	for len(h.open) > 0 && !h.open[0].back.After(now) {
		u := h.open[0]
		h.open = h.open[1:]
		h.tell(nth(len(h.made)+len(h.open)), u.answer, u.sent, now)
	}
}

func TestSilenceKeepsCallsFromAGatewayThatHangs(t *testing.T) {
	tests := []struct {
		rate    float64
		latency time.Duration
		most    int // calls in two seconds
	}{{500, 5 * time.Millisecond, 15}, {500, time.Millisecond, 9}, {50, 5 * time.Millisecond, 8}, {5, 50 * time.Millisecond, 7}}
	for _, test := range tests {
		g := newGate(Policy{Rate: test.rate, Burst: test.rate / 10, MaxInFlight: 32}, origin)
		from := origin.Add(time.Minute)
		h := &hanging{gate: &g, latency: test.latency, from: from, to: from.Add(2 * time.Second)}
		h.run(origin, from.Add(20*time.Second))
		if n := count(h.made, h.from, h.to); n > test.most {
			t.Errorf("%+v: %d calls into a hang of 2 s", test, n)
		}
		if n := count(h.made, h.to, h.to.Add(300*time.Millisecond)); n == 0 {
			t.Errorf("%+v: no call within 300 ms of its end", test)
		}
		if h.stateIn.State != "probing" || h.stateIn.Why == "" {
			t.Errorf("%+v: state %+v", test, h.stateIn)
		}
		// The time-outs of what hung come when the gateway has long been sound, and hold nobody up.
		if n := count(h.made, h.to.Add(2*time.Second), h.to.Add(12*time.Second)); float64(n) < 9.9*test.rate {
			t.Errorf("%+v: %d calls in ten seconds afterwards", test, n)
		}
	}
}

func TestSilenceOfAMomentCostsNothing(t *testing.T) {
	g := newGate(Policy{Rate: 500, Burst: 50, MaxInFlight: 32}, origin)
	h := &hanging{gate: &g, latency: 5 * time.Millisecond}
	pause := origin.Add(time.Minute)
	h.run(origin, pause)
	for i := range h.open { // what is under way comes late
		h.open[i].back = h.open[i].back.Add(80 * time.Millisecond)
	}
	h.run(pause, pause.Add(time.Second))
	if n := count(h.made, pause, pause.Add(time.Second)); n < 495 {
		t.Errorf("%d calls in the second with a pause of 80 ms", n)
	}
}

// usual is a gate that knows how long calls take.
func usual() gate {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	for i := range 2 * enough {
		g.ask("1999", origin)
		g.tell(nth(i), Answer{Class: Success, Took: time.Millisecond}, origin, origin)
	}
	return g
}

func TestSilenceOfFewIsTheirOwn(t *testing.T) {
	g, now := usual(), origin.Add(time.Minute)
	for range 4 {
		if ok, _ := g.ask("1999", now); !ok {
			t.Fatal("a few calls that hang keep everybody out")
		}
		now = now.Add(20 * time.Millisecond)
	}
	if ok, _ := g.ask("1999", now); ok {
		t.Error("more calls follow those that hang")
	}
}

func TestSilenceWhereTheUsualLatencyIsNotKnown(t *testing.T) {
	g := newGate(Policy{Rate: 50, Burst: 5, MaxInFlight: 32}, origin)
	from := origin.Add(time.Minute)
	h := &hanging{gate: &g, from: from, to: from.Add(2 * time.Second)}
	h.run(from, h.to)
	if n := len(h.made); n > 24 {
		t.Errorf("%d calls into a hang of 2 s", n)
	}
}

func TestSilenceEndsWithCallsThatNeverLeft(t *testing.T) {
	g, now := usual(), origin.Add(time.Minute)
	for range fewUnheard {
		g.ask("1999", now)
	}
	g.notSent("no lease", now, now)
	if ok, _ := g.ask("1999", now.Add(leaseLook)); !ok {
		t.Error("a call that never left is taken for one that hangs")
	}
}

func TestLateTimeOutsOfWhatHungTellNothing(t *testing.T) {
	g, now := usual(), origin.Add(time.Minute)
	for range 3 {
		g.ask("1999", now)
	}
	later := now.Add(time.Second)
	g.ask("1999", later)
	g.tell("1009", sound(0), later, later)
	for i := range 3 {
		g.tell(nth(i), fault(0), now, later)
	}
	if g.breaker.faults != 0 {
		t.Error("time-outs of calls before one that was answered count as faults")
	}
}
