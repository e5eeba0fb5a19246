package status

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/worker/view"
)

// follower reads a stream of events.
type follower struct {
	*testing.T
	lines *bufio.Scanner
}

func (s *stage) follow(t *testing.T) *follower {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, type %q", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return &follower{t, lines}
}

// next returns the next section that is sent.
func (f *follower) next() (s section) {
	f.Helper()
	for f.lines.Scan() {
		if text, ok := strings.CutPrefix(f.lines.Text(), `data: {`); ok {
			if err := json.Unmarshal([]byte("{"+text), &s); err != nil {
				f.Fatal(err)
			}
			return s
		}
	}
	f.Fatalf("the stream ended: %v", f.lines.Err())
	return s
}

// until returns the first section of that name which says the text.
func (f *follower) until(id, text string) section {
	f.Helper()
	for {
		if s := f.next(); s.ID == id && strings.Contains(s.HTML, text) {
			return s
		}
	}
}

func TestEventsSendWhatChanges(t *testing.T) {
	s := newStage().open(t)
	f := s.follow(t)
	seen := map[string]bool{}
	for range sectionNames {
		seen[f.next().ID] = true
	}
	for _, name := range sectionNames {
		if !seen[name] {
			t.Errorf("a page that begins gets no %s", name)
		}
	}
	s.worker.set(func(a *actor) { a.view.Gate = view.GateState{State: "shut", Why: "maintenance"} })
	if first := f.next(); first.ID != "headline" && first.ID != "gate" {
		t.Errorf("%s is sent although it has not changed", first.ID)
	}
	f.until("gate", "maintenance")
	s.set(func(s *stage) { s.replicas[0].Name, s.replicas[0].Role = "w3", view.RoleOwner })
	f.until("owner", "w3")
}

func TestEventsReachEverybody(t *testing.T) {
	s := newStage().open(t)
	one, two := s.follow(t), s.follow(t)
	one.until("gate", "50/s")
	two.until("gate", "50/s")
	s.worker.set(func(a *actor) { a.view.Gate.Rate = 7 })
	one.until("gate", "7/s")
	two.until("gate", "7/s")
}

// A stop does not wait for those who have the page open.
func TestEventsEndWithTheServer(t *testing.T) {
	s := newStage().open(t)
	f := s.follow(t)
	f.next()
	s.stop()
	for f.lines.Scan() { // until the stream ends
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
}

func TestTooManyWatchers(t *testing.T) {
	var l live
	for range maxWatchers {
		if !l.enter() {
			t.Fatal("refused too early")
		}
	}
	if l.enter() {
		t.Error("let in one too many")
	}
	l.leave()
	if !l.enter() {
		t.Error("refused although one has left")
	}
}

func TestLiveSendsWhatHasChanged(t *testing.T) {
	var l live
	l.enter()
	page := func(htmls ...string) (all []section) {
		for i, html := range htmls {
			all = append(all, section{ID: string(rune('a' + i)), HTML: html})
		}
		return all
	}
	ids := func(turn uint64) (string, uint64, <-chan struct{}) {
		changed, now, next := l.since(turn)
		var ids strings.Builder
		for _, s := range changed {
			ids.WriteString(s.ID)
		}
		return ids.String(), now, next
	}
	_, turn, next := ids(0)
	l.put(page("1", "1", "1"))
	<-next
	got, turn, next := ids(turn)
	if got != "abc" {
		t.Errorf("first %q", got)
	}
	l.put(page("1", "1", "1"))
	select {
	case <-next:
		t.Error("woken although nothing has changed")
	default:
	}
	l.put(page("1", "2", "1"))
	l.put(page("1", "2", "2"))
	<-next
	if got, _, _ = ids(turn); got != "bc" {
		t.Errorf("then %q", got)
	}
	if got, _, _ = ids(0); got != "abc" {
		t.Errorf("who comes later gets %q", got)
	}
	l.leave()
	l.enter()
	if got, _, _ = ids(0); got != "" {
		t.Errorf("who comes after all had left gets %q of then", got)
	}
}

// While nobody looks, the worker is asked for nothing; a page that is open costs one question a second, however many
// people look.
func TestRefreshAsksOnceASecondForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		go s.server.refresh(t.Context())
		asked := func(d time.Duration) (n int) {
			s.worker.set(func(a *actor) { a.asked = 0 })
			time.Sleep(d) // in virtual time
			s.worker.set(func(a *actor) { n = a.asked })
			return n
		}
		if n := asked(time.Minute); n != 0 {
			t.Errorf("asked %d times for nobody", n)
		}
		for range 50 {
			s.server.live.enter()
		}
		if n := asked(time.Minute); n < 59 || n > 61 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

// What happens is on the page within two seconds: within one on the owner's, and one more where the owner is asked
// over NATS and does not answer at once, as it was killed.
func TestChangesAreOnThePageWithinTwoSeconds(t *testing.T) {
	for at := time.Duration(0); at < 3*time.Second; at += 100 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			s := newStage()
			s.worker.set(func(a *actor) { a.ok = false })
			s.owner.set(func(a *actor) { a.stuck = true })
			s.set(func(s *stage) { s.role.Role = view.RoleStandby })
			go s.server.refresh(t.Context())
			s.server.live.enter()
			time.Sleep(10*time.Second + at)
			s.worker.set(func(a *actor) { a.ok = true })
			s.set(func(s *stage) {
				s.role, s.replicas = Role{Role: view.RoleOwner, Owner: "w2"}, []view.Replica{{Name: "w2", Role: view.RoleOwner}}
			})
			time.Sleep(2 * time.Second)
			if changed, _, _ := s.server.live.since(0); len(changed) == 0 || changed[0].HTML != "w2 is the owner. The gate is open." {
				t.Errorf("two seconds after %v the page says %+v", at, changed)
			}
		})
	}
}

// The limits that are meant for short answers would cut a stream after some seconds.
func TestEventsHaveNoLimitButForEachWrite(t *testing.T) {
	w := &limits{ResponseRecorder: httptest.NewRecorder(), read: time.Now()}
	e := eventStream{w: w, control: http.NewResponseController(w)}
	began := time.Now()
	e.begin()
	if e.err != nil || !w.read.IsZero() || w.write.Before(began.Add(eventTimeout)) || !w.Flushed {
		t.Errorf("err %v, reading until %v, writing until %v, flushed %t", e.err, w.read, w.write, w.Flushed)
	}
}

// limits are the deadlines of a connection.
type limits struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (l *limits) SetReadDeadline(t time.Time) error { l.read = t; return nil }

func (l *limits) SetWriteDeadline(t time.Time) error { l.write = t; return nil }
