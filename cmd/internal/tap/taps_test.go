package tap

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
)

func TestTwoTaps(t *testing.T) {
	bubble(t, 2, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		a, b, began := taps[0], taps[1], time.Now()
		a.Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		time.Sleep(time.Second)
		b.Learn(polled("1001", "g1", "g2")) // the balancer led it there
		m.want(t, "1001", "g2")
		time.Sleep(time.Second)
		a.Learn(polled("1001", "g2", "g3"))
		m.want(t, "1001", "g3")
		if s := m.session("1001"); !s.SignedInAt.Equal(began) {
			t.Errorf("signed in at %v", s.SignedInAt)
		}
		// An answer that was under way for long brings back nothing.
		b.Learn(Event{Kind: Answered, Agent: "1001", Shown: "g1", Asked: began.Add(time.Millisecond)})
		m.want(t, "1001", "g3")
		time.Sleep(time.Second)
		b.Learn(signedIn("1001", "h1"))
		m.want(t, "1001", "h1")
		time.Sleep(time.Second)
		a.Learn(signedOut("1001", "h1"))
		m.want(t, "1001", "")
	})
}

// While NATS is away each tap learns of another sign-in: the later one stays.
func TestOlderSignInNeverReplacesANewerOne(t *testing.T) {
	for first := range 2 {
		bubble(t, 2, func(t *testing.T, m *memory, taps []*Registry) {
			t.Helper()
			m.setAway(true)
			taps[first].Learn(signedIn("1001", "older"))
			time.Sleep(time.Second)
			taps[1-first].Learn(signedIn("1001", "newer"))
			time.Sleep(time.Second)
			m.setAway(false)
			time.Sleep(time.Second)
			m.want(t, "1001", "newer")
			taps[first].Verify()
			taps[1-first].Verify()
			m.want(t, "1001", "newer")
		})
	}
}

func TestSignOutAtOneTapDoesNotEndALaterSignInAtAnother(t *testing.T) {
	bubble(t, 2, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		taps[0].Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		m.setAway(true)
		time.Sleep(time.Second)
		taps[0].Learn(signedOut("1001", "g1"))
		time.Sleep(time.Second)
		taps[1].Learn(signedIn("1001", "g2"))
		m.setAway(false)
		time.Sleep(time.Second)
		m.want(t, "1001", "g2")
	})
}

// An agent who is silent at one tap may be busy at another.
func TestSilenceIsAskedAbout(t *testing.T) {
	bubble(t, 2, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		a, b := taps[0], taps[1]
		a.Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		for range 20 {
			time.Sleep(30 * time.Second)
			b.Learn(polled("1001", "g1", ""))
			m.want(t, "1001", "g1")
		}
		time.Sleep(2*silence + 5*time.Second)
		m.want(t, "1001", "")
	})
}

// The tap that saw the agent last is killed, and so is the desktop: another tap ends the session.
func TestSessionOfAKilledTapEnds(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		killed := NewRegistry(m, silence)
		taps[0].Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		// What the other one writes is in the store; it is not heard of again.
		killed.Learn(polled("1001", "g1", "g2"))
		rec, _ := m.Get(t.Context(), "1001")
		rec.Session.GUID, rec.Since, rec.Retired = "g2", time.Now(), []string{markOf("g1").String()}
		if _, err := m.Put(t.Context(), "1001", rec); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*silence + 10*time.Second)
		m.want(t, "1001", "")
	})
}

// Whatever two taps see of a session in which order, while NATS comes and goes, they end with the desktop's last GUID.
func TestTapsAgree(t *testing.T) {
	for seed := range uint64(500) {
		bubble(t, 2, func(t *testing.T, m *memory, taps []*Registry) {
			t.Helper()
			random := rand.New(rand.NewPCG(seed, 1))
			guid, n, signed := "", 0, time.Time{}
			next := func() string { n++; return fmt.Sprintf("guid-%d", n) }
			for range 30 {
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				tap := taps[random.IntN(2)]
				switch what := random.IntN(10); {
				case guid == "" || what == 0:
					guid = next()
					tap.Learn(signedIn("1001", guid))
					signed = time.Now()
				case what < 5:
					fresh := next()
					tap.Learn(polled("1001", guid, fresh))
					guid = fresh
				case what < 8:
					tap.Learn(polled("1001", guid, ""))
				case what == 8:
					m.setAway(random.IntN(2) == 0)
				default:
					tap.Learn(signedOut("1001", guid))
					guid = ""
				}
			}
			m.setAway(false)
			time.Sleep(5 * time.Second)
			if guid != "" {
				taps[random.IntN(2)].Learn(polled("1001", guid, ""))
			}
			time.Sleep(5 * time.Second)
			m.want(t, "1001", guid)
			if s := m.session("1001"); guid != "" && !s.SignedInAt.Equal(signed) {
				t.Errorf("signed in at %v, want %v", s.SignedInAt, signed)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// A desktop whose tap was killed goes on at another one, which does not know its GUID: it is the sign-in that the record
// names, unless another one was seen.
func TestSignInIsKeptWhenATapIsKilled(t *testing.T) {
	for name, test := range map[string]struct {
		stored string // the GUID that the killed tap has stored; it gave the desktop g3 last
		first  Event  // at the other tap
		want   string
	}{
		"the same GUID":             {"g3", polled("1001", "g3", ""), "g3"},
		"the same GUID, rotated":    {"g3", polled("1001", "g3", "g4"), "g4"},
		"the GUID before":           {"g2", polled("1001", "g3", ""), "g3"},
		"the GUID before, rotated":  {"g2", polled("1001", "g3", "g4"), "g4"},
		"two GUIDs before":          {"g1", polled("1001", "g3", ""), "g3"},
		"two GUIDs before, rotated": {"g1", polled("1001", "g3", "g4"), "g4"},
	} {
		for _, knows := range []bool{false, true} { // the other tap has seen the agent before, or not
			t.Run(fmt.Sprintf("%s, known %t", name, knows), func(t *testing.T) {
				bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
					t.Helper()
					began, tap := time.Now().Round(0), taps[0]
					if knows {
						tap.Learn(signedIn("1001", "g1"))
					} else {
						m.writeAs("1001", Record{Session: messages.Session{GUID: "g1", SignedInAt: began, GatewayURL: "https://node-2:8043"}, Since: began})
					}
					m.want(t, "1001", "g1")
					time.Sleep(time.Minute)
					if test.stored != "g1" {
						rec, _ := m.Get(t.Context(), "1001")
						rec.Session.GUID, rec.Since, rec.Retired = test.stored, time.Now(), []string{markOf("g1").String()}
						m.writeAs("1001", rec)
					}
					time.Sleep(time.Minute)
					first := test.first
					first.Asked = time.Now()
					tap.Learn(first)
					m.want(t, "1001", test.want)
					if s := m.session("1001"); !s.SignedInAt.Equal(began) || !knows && s.GatewayURL == "" {
						t.Errorf("signed in at %v, want %v; the session is at %q", s.SignedInAt, began, s.GatewayURL)
					}
					time.Sleep(time.Second)
					tap.Learn(signedIn("1001", "h1"))
					m.want(t, "1001", "h1")
					if s := m.session("1001"); !s.SignedInAt.Equal(time.Now()) || s.GatewayURL != "" {
						t.Errorf("signed in again, and the record says at %v, %q", s.SignedInAt, s.GatewayURL)
					}
				})
			})
		}
	}
}

// Taps are killed before they have stored the GUID that they gave to the desktop: it is the same sign-in all the same.
func TestTapsAgreeWhenTheyAreKilled(t *testing.T) {
	for seed := range uint64(100) {
		bubble(t, 0, func(t *testing.T, m *memory, _ []*Registry) {
			t.Helper()
			random := rand.New(rand.NewPCG(seed, 2))
			var all sync.WaitGroup
			taps, kills := make([]*Registry, 2), make([]context.CancelFunc, 2)
			start := func(i int) {
				ctx, kill := context.WithCancel(t.Context())
				kills[i], m.taps = kill, nil
				taps[i] = m.add(&all, ctx)
				m.taps = taps
			}
			start(0)
			start(1)
			guid, n, signed := "g0", 0, time.Now()
			taps[0].Learn(signedIn("1001", guid))
			m.want(t, "1001", guid)
			for range 30 {
				time.Sleep(time.Duration(random.IntN(20_000)) * time.Millisecond)
				which := random.IntN(2)
				n++
				fresh := fmt.Sprintf("g%d", n)
				switch what := random.IntN(10); {
				case what == 0:
					guid, signed = fresh, time.Now()
					taps[which].Learn(signedIn("1001", guid))
					m.want(t, "1001", guid)
				case what < 4:
					m.setAway(true)
					taps[which].Learn(polled("1001", guid, fresh))
					guid = fresh
					kills[which]()
					synctest.Wait()
					m.setAway(false)
					start(which)
				case what < 8:
					taps[which].Learn(polled("1001", guid, fresh))
					guid = fresh
					m.want(t, "1001", guid)
				default:
					taps[which].Learn(polled("1001", guid, ""))
					m.want(t, "1001", guid)
				}
				synctest.Wait()
				if s := m.session("1001"); !s.SignedInAt.Equal(signed) {
					t.Fatalf("seed %d: signed in at %v, want %v", seed, s.SignedInAt, signed)
				}
			}
			kills[0]()
			kills[1]()
			all.Wait()
		})
	}
}

// After a sign-out nobody knows when the agent of an unknown GUID has signed in.
func TestAdoptionAfterASignOut(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		tap := taps[0]
		tap.Learn(signedIn("1001", "g1"))
		m.want(t, "1001", "g1")
		time.Sleep(time.Second)
		tap.Learn(signedOut("1001", "g1"))
		m.want(t, "1001", "")
		time.Sleep(time.Second)
		tap.Learn(polled("1001", "h1", ""))
		m.want(t, "1001", "h1")
		if s := m.session("1001"); !s.SignedInAt.IsZero() {
			t.Errorf("adopted with %v", s.SignedInAt)
		}
	})
}
