package worker

import (
	"log/slog"
	"math"
	"time"

	"idlepolicy/worker/gate"
	"idlepolicy/worker/view"
)

// controlled is the event that operators changed their settings.
type controlled struct{ Controls }

func (c controlled) apply(l *loop) { l.control(c.Controls) }

func (l *loop) control(c Controls) {
	l.gate.SetPaused(c.Paused, l.now)
	if !c.Paused && !c.Resumed.IsZero() {
		l.gate.Resume(c.Resumed, l.now)
	}
	rate, burst := l.policy.Rate, l.policy.Burst
	if c.Rate != nil && *c.Rate != rate {
		rate = *c.Rate
		if l.Worker.Policy.Burst == 0 { // a burst that was set is kept
			burst = defaultBurst(rate)
		}
	}
	if rate != l.gate.Limit() {
		l.log().Log(l.ctx, slog.LevelInfo, "rate of calls to the gateway changed", "rate", rate, "burst", burst)
	}
	l.gate.SetRate(rate, burst, c.Rate != nil, l.now)
}

// noteOverride warns at the start of a term if the configured rate is not in effect: an operator may have set another one long
// ago.
func (l *loop) noteOverride() {
	if s := l.gate.State(l.now); s.ByOperator && s.Limit != l.policy.Rate {
		l.log().Warn("an operator's rate holds, not the configured one", "rate", s.Limit, "configured", l.policy.Rate,
			"taken_back_by", "idlectl rate configured")
	}
}

// openGate returns the worker's gate for a new term, with what the last owner knew about the gateway.
func (w *Worker) openGate(p Policy, term *Term, now time.Time) *gate.Gate {
	if w.gate == nil {
		w.gate = gate.New(gate.Config{Rate: p.Rate, Burst: p.Burst, MaxInFlight: p.MaxInFlight}, now)
	} else {
		w.gate.Begin(now)
	}
	w.gate.Restore(term.Gateway, now)
	return w.gate
}

// gateWatch reports what the gate does to logs, metrics and the next owner.
type gateWatch struct {
	gate        *gate.Gate
	term        *Term
	observer    Observer
	log         *slog.Logger
	logged      gateLog
	maxInFlight int
	shared      uint64 // the fingerprint of what was last shared with the next owner
}

// report is called after each turn of the event loop.
func (g *gateWatch) report(now time.Time) {
	if g.gate.OutOfReach() {
		s := g.gate.State(now)
		g.log.Warn("the rate cannot be reached: too few calls may be under way for the time that each takes",
			"rate", s.Limit, "reach", math.Round(s.Reach), "in_flight", g.maxInFlight, "latency", time.Duration(s.Latency*float64(time.Second)))
	}
	s := gateState(g.gate.State(now))
	if g.observer != nil {
		g.observer.Gate(s)
	}
	g.logged.note(g.log, &s, now)
	if sum := g.gate.Fingerprint(); sum != g.shared && g.term.Share != nil {
		g.shared = sum
		g.term.Share(g.gate.Snapshot(now))
	}
}

func gateState(s gate.State) view.GateState {
	return view.GateState{
		State: s.State, Why: s.Why, Since: s.Since, Until: s.Until, Rate: s.Rate, Limit: s.Limit, InFlight: s.InFlight,
		ByOperator: s.ByOperator, Holding: string(s.Holding), Latency: s.Latency, Reach: s.Reach,
	}
}

// gateLog logs each change of the gate's state, but only [gateLines] a minute while the gateway flaps.
type gateLog struct {
	was     string
	since   time.Time
	minute  time.Time // the lines are counted since then
	lines   int
	leftOut int
}

const gateLines = 6 // a minute

func (g *gateLog) note(log *slog.Logger, s *view.GateState, now time.Time) {
	if s.State == g.was {
		return
	}
	was, since := g.was, g.since
	g.was, g.since = s.State, now
	if was == "" && s.State == "open" {
		return
	}
	if now.Sub(g.minute) >= time.Minute {
		g.minute, g.lines = now, 0
	}
	if g.lines++; g.lines > gateLines {
		g.leftOut++
		return
	}
	if g.leftOut > 0 {
		log = log.With("changes_left_out", g.leftOut)
		g.leftOut = 0
	}
	if s.State == "open" {
		log.Info("the gate is open again", "was", was, "after", now.Sub(since).Round(time.Millisecond))
		return
	}
	if !s.Until.IsZero() {
		log = log.With("until", s.Until)
	}
	log.Warn("the gate holds calls back", "state", s.State, "why", s.Why)
}
