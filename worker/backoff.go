package worker

import (
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Backoff says how long a change pauses between its attempts. The zero value of a field means its default.
type Backoff struct {
	Initial    time.Duration // after the first attempt; default 500 ms
	Max        time.Duration // never longer, jitter included; default 30 s
	Multiplier float64       // from one pause to the next; default 2
	Jitter     float64       // share by which a pause is made longer or shorter at random, 0 to 1; default none
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

// Pause returns the pause after the n-th attempt, n from 1. A fresh value of the library's serves each time: it is not
// for sharing between changes, and thousands of them at rest would only cost memory.
func (b Backoff) Pause(n int) time.Duration {
	jitter := max(0, b.Jitter)
	grown := float64(b.Initial) * math.Pow(b.Multiplier, float64(n-1))
	e := backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(min(grown, float64(b.Max)/(1+jitter))),
		RandomizationFactor: jitter,
		Multiplier:          b.Multiplier,
		MaxInterval:         b.Max,
		MaxElapsedTime:      0, // how often is for the change's attempts to say, how long for its valid_until
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	e.Reset()
	return min(b.Max, e.NextBackOff()) // the library rounds up
}
