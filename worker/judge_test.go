package worker

import (
	"math"
	"testing"
	"time"
)

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func TestBackoffPause(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, Multiplier: 3}.withDefaults()
	for i, want := range []int{1, 3, 9, 10, 10} {
		if got := b.Pause(i + 1); got != seconds(want) {
			t.Errorf("pause %d is %v, want %v", i+1, got, seconds(want))
		}
	}
	if got := b.Pause(10_000); got != 10*time.Second {
		t.Errorf("pause 10,000 is %v", got)
	}
}

func TestBackoffJitter(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, Jitter: 0.5}.withDefaults()
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 2000 {
		p := b.Pause(2)
		low, high = min(low, p), max(high, p)
	}
	if low < time.Second || high > 3*time.Second+time.Nanosecond {
		t.Errorf("pauses from %v to %v, want within 1s to 3s", low, high)
	}
	if low > 1200*time.Millisecond || high < 2800*time.Millisecond {
		t.Errorf("pauses from %v to %v are hardly left to chance", low, high)
	}
}

// Fault M: the jitter came after the cap.
func TestBackoffNeverExceedsItsMaximum(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 30 * time.Second, Jitter: 0.5}.withDefaults()
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 1000 {
		p := b.Pause(10)
		low, high = min(low, p), max(high, p)
	}
	if high > 30*time.Second || high < 29*time.Second || low > 11*time.Second {
		t.Errorf("the tenth pause is from %v to %v, want spread up to 30s", low, high)
	}
}

func TestPolicyDefaults(t *testing.T) {
	p := Policy{Rate: 50}.withDefaults()
	if p.Burst != 5 || p.MaxInFlight != 32 || p.MaxAttempts != 8 || p.Validity != 12*time.Hour || p.Retention != 720*time.Hour {
		t.Errorf("%+v", p)
	}
	if b := p.Backoff; b.Initial != 500*time.Millisecond || b.Max != 30*time.Second || b.Multiplier != 2 || b.Jitter != 0 {
		t.Errorf("%+v", b)
	}
	if p := (Policy{Rate: 3}).withDefaults(); p.Burst != 1 {
		t.Errorf("burst %v at 3 per second", p.Burst)
	}
}

func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range Class(numClass) {
		seen[c.String()] = true
	}
	if len(seen) != numClass || seen[""] {
		t.Errorf("names %v", seen)
	}
}

// What an answer spends, and when the next call is made.
func TestAnswersThatCountAsAttempts(t *testing.T) {
	tests := []struct {
		name     string
		answer   Answer
		attempts int // of two answers of this kind before success
		atLeast  time.Duration
		atMost   time.Duration
	}{
		{"passing", Answer{Class: Passing, Retcode: "100-007"}, 3, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"busy", Answer{Class: Busy, Status: 503, Fault: "503"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"too many", Answer{Class: Busy, Status: 429, Fault: "429"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"retry after", Answer{Class: Busy, Status: 503, RetryAfter: 10 * time.Second}, 1, 20 * time.Second, 21 * time.Second},
		{"not sent", Answer{Class: NotSent}, 1, 200 * time.Millisecond, 200 * time.Millisecond},
		{"fault", Answer{Class: Unsound, Fault: "reset"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g", 1)
				n := 0
				s.gateway.answer = func(Call) Answer {
					if n++; n <= 2 {
						return test.answer
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.start()
				s.publish(wish("1001", "f", `,"id":"a"`))
				s.pass(time.Minute)
				s.wantTold("applied 1001 a")
				if r := s.journal.all()[0]; r.Attempts != test.attempts {
					t.Errorf("%d attempts, want %d", r.Attempts, test.attempts)
				}
				if took := s.gateway.at()[2].Sub(s.gateway.at()[0]); took < test.atLeast || took > test.atMost {
					t.Errorf("the third call came after %v", took)
				}
			})
		})
	}
}

func TestFirstAttemptsGoBeforeRetriesThenTheEarliestDeadline(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		s.agents(4)
		s.gateway.answer = func(c Call) Answer {
			if c.Flag == "bad" {
				return Answer{Class: Passing, Retcode: "100-007"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish("1001", "bad", until(time.Minute)))
		s.pass(time.Second)
		s.publish(wish("1002", "late", until(3*time.Hour)))
		s.publish(wish("1003", "soon", until(2*time.Hour)))
		s.publish(wish("1004", "soon", until(2*time.Hour)))
		s.pass(3500 * time.Millisecond)
		s.wantCalls("1001 bad g", "1003 soon g", "1004 soon g", "1002 late g")
		s.pass(time.Second)
		s.wantCalls("1001 bad g", "1003 soon g", "1004 soon g", "1002 late g", "1001 bad g")
	})
}

// What others were answered while an attempt hung says nothing about it: the gateway may have gone away behind them.
func TestOutageThatBeganDuringTheLastAttemptSpendsNone(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 1}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.signIn("1002", "g2", 1)
		s.gateway.set(func() { s.gateway.takes = 5 * time.Second })
		began := time.Now()
		s.gateway.set(func() {
			s.gateway.answer = func(c Call) Answer {
				if age := time.Since(began); c.AgentID == "1002" && age < 6*time.Second || age > time.Minute {
					return Answer{Class: Success, Retcode: "0"}
				}
				return Answer{Class: Unsound, Fault: "no answer within 5s"}
			}
		})
		s.start()
		s.publish(wish("1002", "false", `,"id":"b"`))
		s.pass(time.Millisecond)
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(2 * time.Minute)
		s.wantTold("applied 1002 b", "applied 1001 a")
	})
}
