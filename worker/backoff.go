package worker

import (
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Backoff configures the pauses between the attempts of a change. The zero value of a field means its default.
type Backoff struct {
	Initial    time.Duration // after the first attempt; default 500 ms
	Max        time.Duration // never longer, jitter included; default 30 s
	Multiplier float64       // from one pause to the next; default 2
	Jitter     float64       // fraction by which a pause is randomly made longer or shorter, 0 to 1; default 0
}

func (b Backoff) withDefaults() Backoff {
	if b.Initial == 0 {
		b.Initial = backoff.DefaultInitialInterval
	}
	if b.Max == 0 {
		b.Max = 30 * time.Second
	}
	if b.Multiplier == 0 {
		b.Multiplier = 2
	}
	return b
}

// Pause returns the pause after the n-th attempt, counting from 1. It makes a new backoff.ExponentialBackOff each time, because one
// cannot be shared between changes, and keeping one for each change would cost memory.
func (b Backoff) Pause(n int) time.Duration {
	jitter := max(0, b.Jitter)
	grown := float64(b.Initial) * math.Pow(b.Multiplier, float64(n-1))
	e := backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(min(grown, float64(b.Max)/(1+jitter))),
		RandomizationFactor: jitter,
		Multiplier:          b.Multiplier,
		MaxInterval:         b.Max,
		MaxElapsedTime:      0, // MaxAttempts and valid_until are the limits
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	e.Reset()
	return min(b.Max, e.NextBackOff()) // the library rounds up, possibly above Max
}
