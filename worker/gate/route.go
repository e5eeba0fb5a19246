package gate

import "time"

// route is the way to one address of the gateway.
type route struct {
	inFlight int
	asked    time.Time // last
	tally    Tally
	row      row
	quiet    quiet
	breaker  breaker
	limit    limit
	ramp     ramp
	bucket   bucket // keeps the adaptive rate of limit and ramp
	latency  latency
	failing  float64 // share of faults lately
}

// keeps returns what keeps a call to this address back now; full is the rate that operators allow.
func (r *route) keeps(full float64, now time.Time) (again time.Time, why Why) {
	if !r.breaker.open {
		again, tripped := r.suspect(now)
		switch {
		case tripped:
			r.trip(time.Time{}, "no call is answered", now)
			r.breaker.next = now
		case !again.IsZero():
			return again, Breaker
		}
	}
	if r.breaker.open {
		if now.Before(r.breaker.next) {
			return r.breaker.next, Breaker
		}
		return time.Time{}, ""
	}
	if rate, why := r.adaptiveRate(full, now); rate > 0 {
		r.bucket.fill(rate, 1+rate*wakesLate.Seconds(), now)
		if again := r.bucket.next(rate); !again.IsZero() {
			return again, why
		}
	}
	return time.Time{}, ""
}

// suspect returns until when a call must wait because others have yet to be answered, and whether that was too long.
func (r *route) suspect(now time.Time) (again time.Time, tripped bool) {
	since := r.quiet.stalled(r.latency.usual(), now)
	if since.IsZero() {
		since = r.row.crowded()
	}
	if since.IsZero() {
		return time.Time{}, false
	}
	again = since.Add(tooLong)
	return again, !now.Before(again)
}

// take takes the tokens for a call that nothing keeps back.
func (r *route) take() { r.bucket.tokens = max(0, r.bucket.tokens-1) }

// adaptiveRate returns the rate that calls to this address may not exceed, and why; 0: it has no limit of its own.
func (r *route) adaptiveRate(full float64, now time.Time) (rate float64, why Why) {
	rate = r.limit.rate(full)
	why = Slowed
	if steep := r.ramp.rate(full, now); steep > 0 && (rate == 0 || steep < rate) {
		rate, why = steep, Ramp
	}
	return rate, why
}

// ramp increases the rate after the address answered again, so that all that waited does not meet it at once. It takes as long
// as the breaker was open, so that a false alarm costs little.
type ramp struct {
	from  time.Time
	takes time.Duration
}

// rate returns the rate to stay below; 0: any.
func (r *ramp) rate(full float64, now time.Time) float64 {
	t := now.Sub(r.from)
	if t < 0 || t >= r.takes {
		return 0
	}
	return full * (rampFrom + (1-rampFrom)*t.Seconds()/r.takes.Seconds())
}

const (
	longestRamp = 500 * time.Millisecond
	rampFrom    = 0.2 // of the rate
)

func (r *route) send(agent string, now time.Time) {
	r.inFlight++
	r.quiet.sent(now)
	r.limit.sent(now)
	if r.breaker.open {
		r.breaker.sent(now)
		return
	}
	r.row.send(agent, now)
}

// report takes note of how a call ended. held reports whether a Retry-After holds all calls already.
func (r *route) report(p *Report, full float64, now time.Time, held bool) {
	r.inFlight--
	r.quiet = quiet{}
	if p.Kind != NotSent {
		r.failing += (float64(min(1, p.Kind-Answered)) - r.failing) / 16
	}
	switch p.Kind {
	case NotSent:
		r.row.remove(p.Agent)
	case Answered:
		r.tally.Answered++
		r.latency.learn(p.Took)
		r.row.answered(p.Agent)
		r.limit.accepted(p.Sent, now)
		if r.breaker.open && !p.Sent.Before(r.breaker.from) {
			r.ramp = ramp{now, min(longestRamp, now.Sub(r.breaker.since))}
			r.breaker, r.failing, r.bucket = breaker{}, 0, bucket{last: now}
			r.limit.reopened(now)
		}
	case Busy:
		r.tally.Busy++
		r.limit.why = p.Why
		if p.RetryAfter > 0 {
			r.row.remove(p.Agent)
			if !held {
				r.limit.told(p.RetryAfter, full, now)
			}
			return
		}
		if r.limit.refused(p.Sent, full, now) {
			r.bucket = bucket{last: now}
		}
		r.fault(p, full, now)
	case Fault:
		r.tally.Faults++
		r.fault(p, full, now)
	}
}

func (r *route) fault(p *Report, full float64, now time.Time) {
	if r.breaker.open {
		r.breaker.fault(p.Sent, p.Why, now)
		return
	}
	if first, tripped := r.row.fault(p.Agent, p.Connect, p.Kind == Busy); tripped {
		if r.row.busy {
			r.limit.ranInto(full, now)
		} else {
			r.limit.forgive()
		}
		r.trip(first, p.Why, now)
	}
}

// trip opens the breaker. from is when the first call was sent that failed; a call from before says nothing.
func (r *route) trip(from time.Time, why string, now time.Time) {
	r.breaker.trip(from, why, now)
	r.row, r.quiet = row{}, quiet{}
}

func (r *route) forgetCalls() {
	r.inFlight, r.row, r.quiet, r.bucket = 0, row{}, quiet{}, bucket{}
	r.limit.forgive()
}

// latency is how long proper answers took lately.
type latency struct {
	mean  time.Duration
	known int // answers that it is known from, up to enough
}

// enough is how many answers the latency is learned from; a few slow ones among them change little.
const enough = 32

func (l *latency) learn(took time.Duration) {
	l.known = min(l.known+1, enough)
	l.mean += (took - l.mean) / time.Duration(l.known)
}

// usual returns the latency once enough calls were answered; zero: not known.
func (l *latency) usual() time.Duration {
	if l.known < enough {
		return 0
	}
	return l.mean
}
