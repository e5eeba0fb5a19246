package worker

import (
	"log/slog"
	"math"
	"time"
)

// controlled is the event that operators want something else.
type controlled struct{ Controls }

func (c controlled) apply(l *loop) { l.control(c.Controls) }

func (l *loop) control(c Controls) {
	l.gate.paused, l.gate.byOperator = c.Paused, c.Rate != nil
	rate, burst := l.policy.Rate, l.policy.Burst
	if c.Rate != nil && *c.Rate != rate {
		rate = *c.Rate
		if l.Worker.Policy.Burst == 0 { // one that was set stays
			burst = max(1, rate/10)
		}
	}
	if rate != l.gate.rate {
		l.log().Log(l.ctx, slog.LevelInfo, "rate of calls to the gateway changed", "rate", rate, "burst", burst)
		l.gate.setRate(rate, burst, l.now)
	}
}

// noteOverride says at the start of a term that the configured rate does not hold: an operator may have set another one
// long ago.
func (l *loop) noteOverride() {
	if l.gate.byOperator && l.gate.rate != l.policy.Rate {
		l.log().Warn("an operator's rate holds, not the configured one", "rate", l.gate.rate, "configured", l.policy.Rate,
			"taken_back_by", "idlectl rate configured")
	}
}

// noteGate says once when what holds calls back changes.
func (l *loop) noteGate() {
	if l.gate.outOfReach() {
		l.log().Warn("the rate cannot be reached: too few calls may be under way for the time that each takes",
			"rate", l.gate.rate, "reach", math.Round(l.gate.reach()), "in_flight", l.gate.maxInFlight, "latency", l.gate.latency)
	}
	s := l.gate.state(l.now)
	if l.Watch != nil {
		l.Watch.Gate(s)
	}
	if s.State == l.gateWas {
		return
	}
	was, since := l.gateWas, l.gateSince
	l.gateWas, l.gateSince = s.State, l.now
	switch {
	case was == "":
	case s.State == "open":
		l.log().Info("the gate is open again", "was", was, "after", l.now.Sub(since).Round(time.Millisecond))
	default:
		log := l.log()
		if !s.Until.IsZero() {
			log = log.With("until", s.Until)
		}
		log.Warn("the gate holds calls back", "state", s.State, "why", s.Why)
	}
}
