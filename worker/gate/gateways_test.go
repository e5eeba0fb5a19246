package gate

import "time"

const ms = time.Millisecond

// sound answers every call after 10 ms.
func sound(*arrival) reply { return reply{kind: Answered, took: 10 * ms} }

func busy(*arrival) reply     { return reply{kind: Busy, took: 10 * ms} }
func internal(*arrival) reply { return reply{kind: Fault, took: 10 * ms} }
func cut(*arrival) reply      { return reply{kind: Fault, took: ms} }
func hung(*arrival) reply     { return reply{kind: Fault, took: 5 * time.Second} }

// noise answers that share of the calls with a fault, at random.
func noise(share float64, fault func(*arrival) reply) func(*arrival) reply {
	return func(a *arrival) reply {
		if a.random.Float64() < share {
			return fault(a)
		}
		return sound(a)
	}
}

// during answers with a fault in that time.
func during(from, to time.Duration, fault, otherwise func(*arrival) reply) func(*arrival) reply {
	return func(a *arrival) reply {
		if a.since >= from && a.since < to {
			return fault(a)
		}
		return otherwise(a)
	}
}

// agents answers those for which is holds with a fault.
func agents(is func(agent int) bool, fault, otherwise func(*arrival) reply) func(*arrival) reply {
	return func(a *arrival) reply {
		if is(a.agent) {
			return fault(a)
		}
		return otherwise(a)
	}
}

func odd(agent int) bool  { return agent%2 == 1 }
func even(agent int) bool { return agent%2 == 0 }

// sliding takes so many calls in any one second, and refuses the others.
func sliding(perSecond int, retryAfter time.Duration) func(*arrival) reply {
	var taken []time.Time
	return func(a *arrival) reply {
		for len(taken) > 0 && a.at.Sub(taken[0]) >= time.Second {
			taken = taken[1:]
		}
		if len(taken) >= perSecond {
			return reply{kind: Busy, took: 10 * ms, retryAfter: retryAfter}
		}
		taken = append(taken, a.at)
		return sound(a)
	}
}

// fixed takes so many calls in each second of the clock.
func fixed(perSecond int, retryAfter time.Duration) func(*arrival) reply {
	second, n := int64(0), 0
	return func(a *arrival) reply {
		if s := int64(a.since / time.Second); s != second {
			second, n = s, 0
		}
		if n++; n > perSecond {
			return reply{kind: Busy, took: 10 * ms, retryAfter: retryAfter}
		}
		return sound(a)
	}
}

// tokens takes calls from a bucket.
func tokens(rate func(since time.Duration) float64, depth float64, retryAfter time.Duration) func(*arrival) reply {
	b := bucket{tokens: depth, last: origin}
	return func(a *arrival) reply {
		b.fill(rate(a.since), depth, a.at)
		if b.tokens < 1 {
			return reply{kind: Busy, took: 10 * ms, retryAfter: retryAfter}
		}
		b.tokens--
		return sound(a)
	}
}

func steady(rate float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return rate }
}

// crowd answers a busy fault to what comes while so many calls are being answered.
func crowd(most int, took time.Duration) func(*arrival) reply {
	var ends []time.Time
	return func(a *arrival) reply {
		kept := ends[:0]
		for _, e := range ends {
			if e.After(a.at) {
				kept = append(kept, e)
			}
		}
		ends = kept
		if len(ends) >= most {
			return reply{kind: Busy, took: ms}
		}
		ends = append(ends, a.at.Add(took))
		return reply{kind: Answered, took: took}
	}
}

// slow answers those agents late.
func slow(is func(agent int) bool, took time.Duration) func(*arrival) reply {
	return func(a *arrival) reply {
		r := sound(a)
		if is(a.agent) {
			r.took = took
		}
		return r
	}
}
