package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listener keeps each trace as one line.
type listener []string

func (l *listener) Trace(s *Trace) {
	line := []string{string(s.Result.Outcome), s.Result.ChangeID}
	for _, a := range s.Attempts {
		line = append(line, fmt.Sprintf("%v@%v", a.Class, a.Sent.Sub(s.Result.ReceivedAt)))
	}
	if s.Stored.Before(s.Result.FinishedAt) {
		line = append(line, "stored before it ended")
	}
	*l = append(*l, strings.Join(line, " "))
}

// A result that ends nothing has no trace.
func TestEachEndingIsTracedOnceWithItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Policy{Backoff: Backoff{Initial: time.Second}})
		var heard listener
		s.worker.Trace = &heard
		s.gateway.reply(Answer{Class: Passing, Retcode: "100-007"})
		s.start()
		s.signIn("1001", "g1", 1)
		s.publish(`{"agent_id": "1001", "flag": "false", "id": "a"}`)
		s.gateway.set(func() { s.gateway.answer = nil })
		s.pass(2 * time.Second)
		s.publish(`{"agent_id": "1001", "flag": "yes", "id": "b"}`)
		s.publish(`{"agent_id": "1002", "flag": "true", "id": "c", "valid_until": "2000-01-01T00:02:00Z"}`)
		s.pass(3 * time.Minute)
		s.signIn("1001", "g2", 2)
		s.pass(time.Second)
		s.finish()
		want := []string{"applied a passing@0s success@1s", "rejected b", "expired c"}
		if !slices.Equal(heard, want) {
			t.Errorf("heard\n%q, want\n%q", []string(heard), want)
		}
	})
}

func TestAttemptsInATraceAreBounded(t *testing.T) {
	l := &loop{Worker: &Worker{Trace: new(listener)}}
	c := &change{msg: &message{}}
	for range 10 * maxAttempts {
		l.remember(c, &answered{Answer: Answer{Class: Unsound}})
	}
	if n := len(c.try.calls); n != maxAttempts {
		t.Errorf("%d calls are remembered", n)
	}
	l.Trace = nil
	quiet := &change{msg: &message{}}
	if l.remember(quiet, &answered{Answer: Answer{Class: Unsound}}); quiet.try != nil {
		t.Error("a change remembers attempts that nobody traces")
	}
}
