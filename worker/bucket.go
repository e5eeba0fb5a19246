package worker

import "time"

// bucket is a token bucket. It fills from last on and counts no tokens before that.
type bucket struct {
	tokens float64
	last   time.Time
}

func (b *bucket) fill(rate, depth float64, now time.Time) {
	if now.After(b.last) {
		b.tokens = min(depth, b.tokens+rate*now.Sub(b.last).Seconds())
		b.last = now
	}
}

func (b *bucket) take(rate float64) (again time.Time, wait bool) {
	if b.tokens < 1-1e-9 {
		seconds := min((1-b.tokens)/rate, time.Hour.Seconds())
		return b.last.Add(time.Duration(seconds*float64(time.Second)) + time.Nanosecond), true
	}
	b.tokens--
	return time.Time{}, false
}
