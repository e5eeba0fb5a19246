package worker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

func TestViewNamesWhoWaitsAndWhy(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.answer = func(Call) Answer { return Answer{Class: Passing, Retcode: "100-007", Message: "later"} }
		s.start()
		s.pass(time.Minute)
		began := time.Now()
		s.publish(wish("1003", "f", `,"id":"c"`+effective(time.Hour)))
		s.pass(time.Second)
		s.publish(wish("1002", "f", `,"id":"b"`))
		s.publish(wish("1001", "f", `,"id":"a"`)) // is called at once and pauses
		v, _ := s.worker.View(s.t.Context())
		var got []string
		for _, w := range v.Waits {
			got = append(got, w.AgentID+" "+w.Change.ID+" "+w.Change.WaitsFor.String()+" "+w.Change.Message)
		}
		if want := "1001 a retry later; 1002 b sign-in ; 1003 c instant "; strings.Join(got, "; ") != want {
			t.Errorf("waits %q, want %q", got, want)
		}
		if v.Called != 1 || v.Ended != 0 || !v.Since.Equal(began.Add(-time.Minute)) || !v.Oldest.Equal(began) {
			t.Errorf("view %+v, began %v", v, began)
		}
		if len(v.Last) != 2 || v.Last[0].AgentID != "1002" || v.Last[0].Outcome != messages.Waiting {
			t.Errorf("last results %+v", v.Last)
		}
	})
}

func TestViewHasTheOldestChange(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		s.worker.SetControls(Controls{Paused: true})
		all := s.agents(2)
		s.start()
		s.pass(time.Minute)
		if v, _ := s.worker.View(s.t.Context()); !v.Oldest.IsZero() || !v.OldestDue.IsZero() {
			t.Errorf("nothing is unfinished, but the oldest is from %v, the oldest due from %v", v.Oldest, v.OldestDue)
		}
		first := time.Now()
		s.publish(wish(all[0], "f", ``))
		s.pass(time.Minute)
		second := time.Now()
		s.publish(wish(all[1], "f", ``))
		if v, _ := s.worker.View(s.t.Context()); !v.Oldest.Equal(first) || !v.OldestDue.Equal(first) {
			t.Errorf("oldest %v, oldest due %v, want %v", v.Oldest, v.OldestDue, first)
		}
		s.sessions.Delete(all[0])
		s.publish(wish(all[0], "f", `,"id":"again"`))
		s.pass(time.Second)
		if v, _ := s.worker.View(s.t.Context()); !v.Oldest.Equal(second) || !v.OldestDue.Equal(second) {
			t.Errorf("oldest %v, oldest due %v, want %v", v.Oldest, v.OldestDue, second)
		}
	})
}

// Every agent of a large site waits: the view names a few, the oldest ones, and still counts all.
func TestViewIsBounded(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i := range 3 * view.MaxWaits {
			s.publish(wish(strconv.Itoa(10_000+(i*7919)%(3*view.MaxWaits)), "f", fmt.Sprintf(`,"batch_id":"b-%03d"`, i)))
			s.pass(time.Millisecond)
		}
		v, _ := s.worker.View(s.t.Context())
		if len(v.Waits) != view.MaxWaits || v.NotSignedIn != 3*view.MaxWaits {
			t.Fatalf("%d waits, %d not signed in", len(v.Waits), v.NotSignedIn)
		}
		for i, w := range v.Waits {
			if want := strconv.Itoa(10_000 + (i*7919)%(3*view.MaxWaits)); w.AgentID != want {
				t.Fatalf("wait %d is of agent %s, want %s", i, w.AgentID, want)
			}
		}
		if len(v.Batches) != view.MaxBatches || v.MoreBatches != 3*view.MaxWaits-view.MaxBatches || v.Batches[0].ID != "b-000" {
			t.Errorf("%d batches from %s on, and %d more", len(v.Batches), v.Batches[0].ID, v.MoreBatches)
		}
		if len(v.Last) != recentResults {
			t.Errorf("%d last results", len(v.Last))
		}
	})
}

func TestRecentKeepsTroubleThroughAWave(t *testing.T) {
	var r recent
	r.add(&messages.Result{Outcome: messages.Failed, ChangeID: "bad", Message: strings.Repeat("é", recentText)})
	for i := range 3 * recentResults {
		r.add(&messages.Result{Outcome: messages.Applied, ChangeID: strconv.Itoa(i)})
	}
	r.add(&messages.Result{Outcome: messages.Waiting, ChangeID: "waits"})
	all, trouble := r.all.newest(), r.trouble.newest()
	if len(all) != recentResults || all[0].ChangeID != "waits" || all[1].ChangeID != "119" || all[recentResults-1].ChangeID != "81" {
		t.Errorf("kept %+v", all)
	}
	if len(trouble) != 1 || trouble[0].ChangeID != "bad" || r.ended != 3*recentResults+1 {
		t.Errorf("trouble %+v, %d ended", trouble, r.ended)
	}
	if text := trouble[0].Message; len(text) > recentText+len("…") || !strings.HasSuffix(text, "é…") {
		t.Errorf("text of %d bytes: %q", len(text), text)
	}
}

func TestSignIns(t *testing.T) {
	s := NewSessions()
	if first, last := s.SignIns(); !first.IsZero() || !last.IsZero() {
		t.Errorf("nobody is signed in, but since %v and %v", first, last)
	}
	for i, hour := range []int{3, 1, 0, 2} {
		session := messages.Session{GUID: "g"}
		if hour > 0 {
			session.SignedInAt = dawn.Add(time.Duration(hour) * time.Hour)
		}
		s.Put(strconv.Itoa(1001+i), session, 1)
	}
	if first, last := s.SignIns(); !first.Equal(dawn.Add(time.Hour)) || !last.Equal(dawn.Add(3*time.Hour)) {
		t.Errorf("first %v, last %v", first, last)
	}
}
