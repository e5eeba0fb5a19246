package tap

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
)

func TestSignInRotationSignOut(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap, began := taps[0], time.Now()
		tap.Learn(signedIn("1001", "g1", "node=7"))
		m.want(t, "1001", "g1")
		if s := m.session("1001"); !s.SignedInAt.Equal(began) || !slices.Equal(s.Cookies, []string{"node=7"}) {
			t.Errorf("signed in at %v with %q", s.SignedInAt, s.Cookies)
		}
		time.Sleep(time.Minute)
		tap.Learn(polled("1001", "g1", "g2"))
		m.want(t, "1001", "g2")
		if s := m.session("1001"); !s.SignedInAt.Equal(began) || len(s.Cookies) != 1 {
			t.Errorf("a rotation changed the sign-in to %v, the cookies to %q", s.SignedInAt, s.Cookies)
		}
		tap.Learn(polled("1001", "g2", ""))
		m.want(t, "1001", "g2")
		if n := m.numWrites(); n != 2 {
			t.Errorf("%d writes, want 2", n)
		}
		time.Sleep(time.Second)
		tap.Learn(signedIn("1001", "g3"))
		m.want(t, "1001", "g3")
		if s := m.session("1001"); !s.SignedInAt.Equal(began.Add(time.Minute+time.Second)) || len(s.Cookies) != 0 {
			t.Errorf("signed in again at %v with %q", s.SignedInAt, s.Cookies)
		}
		tap.Learn(signedOut("1001", "g3"))
		m.want(t, "1001", "")
	})
}

// A rotation may come on an answer with any retcode, and on any request of the agent's.
func TestRotationOnAnyAnswer(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		taps[0].Learn(signedIn("1001", "g1"))
		taps[0].Learn(Event{Kind: Passed, Shown: "g1", GUID: "g2", Asked: time.Now()})
		m.want(t, "1001", "g2")
		taps[0].Learn(Event{Kind: Passed, Agent: "1001", Shown: "g2", GUID: "g3", Asked: time.Now()})
		m.want(t, "1001", "g3")
	})
}

// Whoever sends it, a request that shows another agent's GUID changes nothing.
func TestSupervisorChangesNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "agents"))
		tap.Learn(signedIn("1002", "supervisors"))
		for _, e := range []Event{
			polled("1001", "supervisors", ""), polled("1001", "supervisors", "other"), signedOut("1001", "supervisors"),
			refusedPoll("1001", "supervisors"), polled("1099", "supervisors", "other"),
			{Kind: Passed, Agent: "1001", Shown: "supervisors", GUID: "other", Asked: time.Now()},
		} {
			tap.Learn(e)
		}
		m.want(t, "1001", "agents")
		m.want(t, "1002", "supervisors")
		m.want(t, "1099", "")
	})
}

func TestSessionTroubleThatLasts(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration // of the last answer
		last  Event
		shows string
		want  string
	}{
		{"for 10 s", overAfter, Event{}, "g2", ""},
		{"for less", overAfter - 1, Event{}, "g2", "g2"},
		{"with a good answer between", overAfter, polled("1001", "g2", ""), "g2", "g2"},
		{"of the GUID before", overAfter, Event{}, "g1", "g2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
				t.Helper()
				tap := taps[0]
				tap.Learn(signedIn("1001", "g1"))
				tap.Learn(polled("1001", "g1", "g2"))
				tap.Learn(refusedPoll("1001", test.shows))
				time.Sleep(time.Second)
				tap.Learn(test.last)
				time.Sleep(test.after - time.Second)
				tap.Learn(refusedPoll("1001", test.shows))
				m.want(t, "1001", test.want)
			})
		})
	}
}

func TestSilence(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "g1"))
		tap.Learn(signedIn("1002", "h1"))
		tap.Learn(signedIn("1003", "i1"))
		closed := tap.Tunnel("i1")
		time.Sleep(silence - time.Second)
		tap.Asked("h1") // a poll that is under way is a sign of life
		m.want(t, "1001", "g1")
		time.Sleep(5 * time.Second)
		m.want(t, "1001", "")
		m.want(t, "1002", "h1")
		time.Sleep(silence)
		m.want(t, "1002", "")
		m.want(t, "1003", "i1") // on an upgraded connection nobody can tell
		closed()
		time.Sleep(silence + 5*time.Second)
		m.want(t, "1003", "")
		time.Sleep(silence + 5*time.Second)
		if tap.mu.Lock(); len(tap.agents) > 0 || len(tap.owners) > 0 || tap.seen.Len() > 0 {
			t.Errorf("%d agents and %d GUIDs are remembered", len(tap.agents), len(tap.owners))
		}
		tap.mu.Unlock()
	})
}

func TestAdoption(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(refusedPoll("1001", "x"))
		tap.Learn(Event{Kind: Passed, Agent: "1001", Shown: "x", Asked: time.Now()})
		tap.Learn(Event{Kind: Accepted, Agent: "1001", Shown: "x", Asked: time.Now()}) // a supervisor's, as far as anybody knows
		m.want(t, "1001", "")
		tap.Learn(polled("1001", "g5", ""))
		m.want(t, "1001", "g5")
		if s := m.session("1001"); !s.SignedInAt.IsZero() || !slices.Equal(s.Cookies, []string{"node=of-1001"}) {
			t.Errorf("adopted with %v and %q", s.SignedInAt, s.Cookies)
		}
		tap.Learn(polled("1002", "h1", "h2")) // and rotated in the same answer
		m.want(t, "1002", "h2")
		tap.Learn(signedOut("1003", "i1"))
		m.want(t, "1003", "")
	})
}

// A tap that was started again finds the record that it wrote, and the sign-in's time in it.
func TestRestart(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		began := time.Now()
		taps[0].Learn(signedIn("1001", "g1"))
		taps[0].Learn(signedIn("1002", "h1"))
		m.want(t, "1002", "h1")
		m.write("1003", messages.Session{GUID: "of-middleware"})
		next := NewRegistry(m, silence)
		ctx := t.Context()
		go next.Run(ctx)
		synctest.Wait()
		time.Sleep(time.Second)
		next.Learn(polled("1001", "g1", "g2"))
		m.want(t, "1001", "g2")
		if s := m.session("1001"); !s.SignedInAt.Equal(began) {
			t.Errorf("signed in at %v", s.SignedInAt)
		}
		// 1002 never comes back; what somebody else keeps is not the tap's to end.
		time.Sleep(silence + 5*time.Second)
		m.want(t, "1002", "")
		m.want(t, "1003", "of-middleware")
	})
}

func TestLateAnswersOfAnEndedSessionChangeNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		poll := polled("1001", "g1", "")
		rotation := polled("1001", "g1", "g2")
		time.Sleep(time.Second)
		tap.Learn(signedOut("1001", "g1"))
		time.Sleep(time.Second)
		tap.Learn(poll)
		tap.Learn(rotation)
		m.want(t, "1001", "")
		// While the agent is talking, a sign-out is answered and not carried out: it is the same session as before.
		signedIn := m.session("1001").SignedInAt
		tap.Learn(polled("1001", "g1", ""))
		m.want(t, "1001", "g1")
		if s := m.session("1001"); s.SignedInAt.Before(signedIn) || s.SignedInAt.IsZero() {
			t.Errorf("signed in at %v", s.SignedInAt)
		}
	})
}

func TestSignInElsewhere(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "g1"))
		logout := signedOut("1001", "g1")
		time.Sleep(time.Second)
		tap.Learn(signedIn("1001", "h1"))
		tap.Learn(polled("1001", "g1", "")) // of the desktop before
		for range 20 {
			tap.Learn(refusedPoll("1001", "g1"))
			time.Sleep(time.Second)
		}
		tap.Learn(logout) // overtaken by the sign-in
		m.want(t, "1001", "h1")
	})
}

// Of two polls at once each may bring a GUID, and the older one may come last.
func TestTwoPollsAtOnce(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "g1"))
		tap.Learn(polled("1001", "g1", "g2"))
		late := polled("1001", "g1", "g2")
		plain := polled("1001", "g1", "")
		tap.Learn(polled("1001", "g2", "g3"))
		tap.Learn(late)
		tap.Learn(plain)
		m.want(t, "1001", "g3")
		// Nobody can tell which of these two is newer; the desktop decides by what it shows next.
		tap.Learn(polled("1001", "g2", "g4"))
		m.want(t, "1001", "g4")
		time.Sleep(time.Second)
		tap.Learn(polled("1001", "g3", ""))
		m.want(t, "1001", "g3")
		tap.Learn(polled("1001", "g3", "g5"))
		m.want(t, "1001", "g5")
	})
}

func TestStoreAway(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		m.setAway(true)
		for n := range 2000 {
			agent := strconv.Itoa(1001 + n)
			tap.Learn(signedIn(agent, agent+"-1"))
			tap.Learn(polled(agent, agent+"-1", agent+"-2"))
		}
		tap.Learn(signedOut("1001", "1001-2"))
		time.Sleep(time.Minute)
		if n, waiting := tap.Signed(); n != 1999 || waiting != 2000 {
			t.Errorf("%d signed in, %d waiting", n, waiting)
		}
		m.setAway(false)
		time.Sleep(time.Second)
		for n := range 2000 {
			want := fmt.Sprintf("%d-2", 1001+n)
			if n == 0 {
				want = ""
			}
			m.want(t, strconv.Itoa(1001+n), want)
		}
		if n := m.numWrites(); n != 1999 {
			t.Errorf("%d writes, want the newest of each agent alone", n)
		}
		flushed := time.Now()
		tap.Flush(t.Context())
		if time.Since(flushed) > 0 {
			t.Error("nothing waits, and Flush did")
		}
	})
}

// After NATS was away nobody knows what the records are.
func TestVerify(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		for _, agent := range []string{"1001", "1002", "1003"} {
			tap.Learn(signedIn(agent, agent+"-1"))
		}
		m.want(t, "1003", "1003-1")
		m.mu.Lock()
		delete(m.records, "1001") // lost
		m.mu.Unlock()
		time.Sleep(time.Second)
		m.write("1002", messages.Session{}) // an operator deleted it
		tap.Verify()
		m.want(t, "1001", "1001-1")
		m.want(t, "1002", "")
		m.want(t, "1003", "1003-1")
		if n := m.numWrites(); n != 4 {
			t.Errorf("%d writes, want one more", n)
		}
	})
}
