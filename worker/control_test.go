package worker

import "testing"

func TestRateOfOperatorsKeepsABurstThatWasSet(t *testing.T) {
	for set, want := range map[float64]float64{0: 30, 1: 1} {
		bubble(t, Policy{Rate: 100, Burst: set}, func(s *site) {
			s.start()
			rate := 300.0
			s.worker.SetControls(Controls{Rate: &rate})
			s.inside(func(l *loop) {
				if l.gate.rate != rate || l.gate.burst != want {
					t.Errorf("burst %v set: rate %v with a burst of %v, want %v", set, l.gate.rate, l.gate.burst, want)
				}
			})
		})
	}
}
