package worker

import (
	"strings"
	"testing"
	"time"
)

// publishMany publishes n messages at once.
func (s *site) publishMany(n int, body string) {
	var all []Delivery
	for range n {
		all = append(all, *s.waiting[s.store(body)])
	}
	s.inbox.Deliver(all)
	s.pass(0)
}

// hasRoom reports whether the worker reads on.
func (s *site) hasRoom() bool {
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	return s.inbox.free()
}

// readsOn waits until the worker reads on, and fails after two seconds.
func (s *site) readsOn() {
	s.t.Helper()
	for range 20 {
		if s.hasRoom() {
			return
		}
		s.pass(100 * time.Millisecond)
	}
	s.t.Error("the worker reads no further")
}

func TestStuckAgentStopsNoOtherAgent(t *testing.T) {
	for name, broken := range map[string]func(*fakeJournal){
		"results": func(b *fakeJournal) { b.refuses = func(agent string) bool { return agent == "1001" } },
		"letters": func(b *fakeJournal) { b.deaf = func(agent string) bool { return agent == "1001" } },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1002", "g", 1)
				s.start()
				s.journal.set(func() { broken(s.journal); s.journal.takes = time.Millisecond })
				s.publishMany(1, wish("1001", "yes", ""))
				s.publishMany(2100, wish("1001", "f", ""))
				s.readsOn()
				began := time.Now()
				s.publish(wish("1002", "f", `,"id":"other"`))
				s.pass(100 * time.Millisecond)
				s.wantCalls("1002 f g")
				if told := s.told(); told[len(told)-1] != "applied 1002 other" || time.Since(began) > 2*time.Second {
					t.Errorf("told %q", told[max(0, len(told)-3):])
				}
				v, _ := s.worker.Agent(s.t.Context(), "1001")
				if v.Storing == 0 || v.StoringSince.IsZero() {
					t.Errorf("explained as %+v", v)
				}
				stopped := time.Now()
				s.finish()
				if took := time.Since(stopped); took > stopWaits {
					t.Errorf("the stop took %v", took)
				}
				s.journal.set(func() { s.journal.refuses, s.journal.deaf = nil, nil })
				s.start()
				s.signIn("1001", "g", 2)
				s.pass(5 * time.Minute)
				s.wantNothingWaiting()
			})
		})
	}
}

// More than the worker holds of one agent stays in the stream, and is read in a new term once there is room.
func TestChangesOfAStuckAgentAreLeftInTheStream(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		s.journal.set(func() { s.journal.refuses = func(agent string) bool { return agent == "1001" } })
		s.journal.set(func() { s.journal.takes = time.Millisecond })
		s.publish(`{"changes":[` + strings.Repeat(unusable+",", laneMost) + unusable + `]}`)
		s.pass(time.Second)
		s.publish(wish("1001", "f", `,"id":"left"`))
		s.publish(wish("1001", "g", `,"id":"left too"`))
		s.inside(func(l *loop) {
			if ln := l.lanes["1001"]; !ln.skipped || ln.live != nil {
				t.Errorf("lane %+v", ln)
			}
		})
		s.journal.set(func() { s.journal.refuses, s.journal.takes = nil, 0 })
		s.pass(time.Minute)
		select {
		case <-s.over:
		default:
			t.Fatal("the term goes on")
		}
		s.inbox = nil
		s.start()
		s.pass(time.Minute)
		s.wantNothingWaiting()
		s.wantCalls("1001 g g")
	})
}

func TestAgentViewSaysWhatWasNotKept(t *testing.T) {
	for kept, want := range map[Kept]string{KeptWhole: "", KeptCut: "was cut", KeptNot: "the worker's log has it"} {
		bubble(t, Policy{}, func(s *site) {
			s.start()
			s.journal.set(func() { s.journal.gives = func(string) Kept { return kept } })
			s.publish(unusable)
			v, _ := s.worker.Agent(s.t.Context(), "1001")
			if !strings.Contains(v.Unkept, want) || (want == "") != (v.Unkept == "") {
				t.Errorf("%v: %q", kept, v.Unkept)
			}
			s.wantNothingWaiting()
		})
	}
}
