package worker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/view"
)

func (s *site) coverage() view.Coverage {
	s.t.Helper()
	v, ok := s.worker.View(s.t.Context())
	if !ok {
		s.t.Error("no view")
	}
	return v.Coverage
}

// fillCoverage brings agents into every state.
func (s *site) fillCoverage() {
	for i, agent := range []string{"1001", "1002", "1003", "1004", "1006", "1007"} {
		s.signIn(agent, "g", uint64(i+1))
	}
	s.gateway.answer = func(c Call) Answer {
		switch c.AgentID {
		case "1002":
			return Answer{Class: Passing, Retcode: "100-007", Message: "later"}
		case "1004":
			return Answer{Class: Refused, Retcode: "000-002", Message: "bad parameter"}
		}
		return Answer{Class: Success, Retcode: "0"}
	}
	s.publish(wish("1001", "f", `,"id":"a","batch_id":"b"`))
	s.publish(wish("1002", "f", `,"id":"retries"`))
	s.publish(wish("1003", "f", ""))
	s.sessions.Delete("1003")
	s.publish(wish("1004", "f", `,"batch_id":"b"`))
	s.publish(wish("1005", "f", until(-time.Second)))
	s.publish(wish("1006", "f", until(time.Second)))
	s.publish(wish("1008", "f", ""))
	s.publish(wish("1009", "f", effective(time.Hour)))
	s.publish(wish("1010", "yes", ""))
	s.pass(2 * time.Second)
}

func TestCoverageStates(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 1000, Backoff: Backoff{Initial: time.Hour, Max: time.Hour}}, func(s *site) {
		s.start()
		s.fillCoverage()
		want := view.Coverage{InForce: 1, Retrying: 1, NotSignedIn: 2, Failed: 1, Expired: 1}
		if got := s.coverage(); got != want {
			t.Errorf("coverage %+v, want %+v", got, want)
		}
		s.worker.SetControls(Controls{Paused: true})
		s.publish(wish("1007", "f", ""))
		want.Due = 1
		if got := s.coverage(); got != want {
			t.Errorf("with one due: %+v, want %+v", got, want)
		}
		s.crash()
		s.start()
		want.Due, want.Retrying = 2, 0 // what an attempt left behind is gone, and nothing is called now
		if got := s.coverage(); got != want {
			t.Errorf("after a takeover: %+v, want %+v", got, want)
		}
		s.crash()
		s.restored()
		s.start()
		if got := s.coverage(); got != want {
			t.Errorf("after a restore: %+v, want %+v", got, want)
		}
		s.pass(13 * time.Hour)
		want = view.Coverage{NotSignedIn: 0, Failed: 1, Expired: 5} // 1001 and 1003 have no desired policy any more
		if got := s.coverage(); got != want {
			t.Errorf("after its time: %+v, want %+v", got, want)
		}
	})
}

func TestCoverageOfASignIn(t *testing.T) {
	for _, test := range []struct {
		policy Policy
		class  Class
		want   view.Coverage
	}{
		{Policy{}, Success, view.Coverage{InForce: 1}},
		{Policy{}, Refused, view.Coverage{Failed: 1}},
		{Policy{}, Passing, view.Coverage{Retrying: 1}},
		{Policy{}, NoAgent, view.Coverage{NotSignedIn: 1}},
		{Policy{NoReapply: true}, Success, view.Coverage{Due: 1}},
	} {
		bubble(t, test.policy, func(s *site) {
			s.start()
			s.signIn("1001", "g", 1)
			s.publish(wish("1001", "f", ""))
			s.gateway.reply(Answer{Class: test.class, Retcode: "0"})
			s.pass(time.Second)
			s.signIn("1001", "h", 2)
			s.pass(time.Millisecond)
			if got := s.coverage(); got != test.want {
				t.Errorf("%v: coverage %+v, want %+v", test.class, got, test.want)
			}
			s.rotate("1001", "i", 3)
			s.sessions.Delete("1001")
			s.pass(time.Second)
			if got := s.coverage(); got != (view.Coverage{NotSignedIn: 1}) {
				t.Errorf("%v, signed out: %+v", test.class, got)
			}
		})
	}
}

// What an older version of the worker stored says how most changes ended, too.
func TestCoverageFromOldLedgers(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.fillCoverage()
		was := s.coverage()
		s.crash()
		s.journal.set(func() {
			for i := range s.journal.records {
				s.journal.records[i].Ledger = withoutEnding(s.journal.records[i].Ledger)
			}
		})
		s.start()
		s.pass(time.Second)
		if got := s.coverage(); got.Failed != was.Failed || got.Expired != was.Expired || got.InForce != was.InForce {
			t.Errorf("coverage %+v, was %+v", got, was)
		}
	})
}

func TestCoveredAgentsInPages(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i := range 250 {
			s.publish(wish(strconv.Itoa(900+i), "f", fmt.Sprintf(`,"batch_id":"b%d"`, i%2)))
		}
		var all []string
		after := ""
		for pages := 0; ; pages++ {
			page, ok := s.worker.Covered(s.t.Context(), view.CoverageQuery{State: view.CoverNotSignedIn, After: after})
			if !ok || page.Total != 250 || pages > 2 {
				t.Fatalf("%v: page %d of %d agents", ok, pages, page.Total)
			}
			for _, a := range page.Agents {
				all = append(all, a.AgentID)
				if a.WaitsFor != view.SignIn || a.State != view.CoverNotSignedIn || a.Flag != "f" {
					t.Fatalf("row %+v", a)
				}
			}
			if !page.More {
				break
			}
			after = all[len(all)-1]
		}
		if len(all) != 250 || all[0] != "900" || all[99] != "999" || all[100] != "1000" {
			t.Errorf("%d agents: %v", len(all), all)
		}
		for _, test := range []struct {
			q    view.CoverageQuery
			want int
		}{
			{view.CoverageQuery{Prefix: "10"}, 100},
			{view.CoverageQuery{Batch: "b1"}, 125},
			{view.CoverageQuery{Reason: view.SignIn, Prefix: "9"}, 100},
			{view.CoverageQuery{Reason: view.Gate}, 0},
			{view.CoverageQuery{State: view.CoverInForce}, 0},
		} {
			if page, _ := s.worker.Covered(s.t.Context(), test.q); page.Total != test.want {
				t.Errorf("%+v: %d agents, want %d", test.q, page.Total, test.want)
			}
		}
	})
}

func withoutEnding(ledger []byte) []byte {
	var kept []byte
	for field := range strings.FieldsSeq(string(ledger)) {
		if field[0] != 'e' && field[0] != 'b' {
			kept = append(append(kept, ' '), field...)
		}
	}
	return kept[1:]
}

// The model looks at this too, but seldom meets it.
func TestCoverageWhileARefusedSessionIsTriedAgain(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.start()
		s.publish(wish("1001", "f", ""))
		s.gateway.set(func() { s.gateway.takes = time.Second })
		for _, want := range []view.Coverage{{NotSignedIn: 1}, {Due: 1}, {NotSignedIn: 1}} {
			if got := s.coverage(); got != want {
				t.Errorf("coverage %+v, want %+v", got, want)
			}
			s.pass(firstSessionPause / 2)
			if want.NotSignedIn > 0 {
				s.pass(firstSessionPause / 2)
			}
		}
	})
}
