package faulttest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Stalls are the moments at which this process was not let run: what arrived meanwhile seems to have come all at once.
// Who counts calls in a second has to allow for them on a busy machine.
type Stalls struct {
	mu  sync.Mutex // guards all
	all []stall
}

type stall struct {
	at   time.Time // it was over
	took time.Duration
}

// stallFrom is what a scheduler does also where nothing is wrong.
const stallFrom = 10 * time.Millisecond

// WatchStalls watches until the test is over.
func WatchStalls(tb testing.TB) *Stalls {
	tb.Helper()
	s, over, done := &Stalls{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-tick.C:
			case <-over:
				return
			}
			now := time.Now()
			s.note(now, now.Sub(last))
			last = now
		}
	}()
	tb.Cleanup(func() { close(over); <-done })
	return s
}

func (s *Stalls) note(now time.Time, took time.Duration) {
	if took < stallFrom {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, stall{now, took})
}

// Within returns for how long this process was kept from running, as far as it could matter between two moments.
func (s *Stalls) Within(from, to time.Time) (d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, _ := slices.BinarySearchFunc(s.all, from, func(s stall, t time.Time) int { return s.at.Compare(t) })
	for _, st := range s.all[first:] {
		if st.at.Add(-st.took).After(to) {
			break
		}
		d += st.took
	}
	return d
}
