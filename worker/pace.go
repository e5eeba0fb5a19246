package worker

import "time"

// pace is the rate that the gateway was found to take: halved when it asks for fewer calls without saying how long,
// grown step by step afterwards, and ramped up when the gate opens.
type pace struct {
	cut   float64   // the rate after the last halving; 0: the gateway takes what operators allow
	from  float64   // the rate that was too much
	since time.Time // of the last halving
	steep time.Time // the gate opened then; zero: long ago
}

const (
	rampTime  = 800 * time.Millisecond // from rampFrom of the rate to all of it
	rampFrom  = 0.2
	growTime  = 10 * time.Second // from nothing to all of the rate, in additive steps
	leastPace = 1.0              // calls per second
	// With no limit of the operators' the halving and the ramp need something to go by.
	unlimitedPace = 1000.0
)

func (p *pace) at(limit float64, now time.Time) float64 {
	rate := limit
	if p.cut > 0 {
		full := limit
		if full == 0 {
			full = unlimitedPace
		}
		rate = p.cut + full*now.Sub(p.since).Seconds()/growTime.Seconds()
		if rate >= full {
			p.cut, rate = 0, limit
		}
	}
	if now.Sub(p.steep) < rampTime {
		if rate == 0 {
			rate = unlimitedPace
		}
		rate *= rampFrom + (1-rampFrom)*max(0, now.Sub(p.steep).Seconds()/rampTime.Seconds())
	}
	return rate
}

// halve halves the rate once for all calls that were sent at the same rate.
func (p *pace) halve(limit float64, sent, now time.Time) {
	if !p.since.IsZero() && !sent.After(p.since) {
		return
	}
	rate := p.at(limit, now)
	if rate == 0 {
		rate = unlimitedPace
	}
	p.from, p.cut, p.since = rate, max(leastPace, rate/2), now
}

func (p *pace) ramp(from time.Time) { p.steep = from }

// why names what the rate is, where it keeps a call back.
func (p *pace) why(now time.Time) string {
	switch {
	case now.Sub(p.steep) < rampTime:
		return "ramp"
	case p.cut > 0:
		return "slowed"
	default:
		return "rate"
	}
}
