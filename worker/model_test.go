package worker

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
)

// FuzzModel plays a site at random, in virtual time, and holds what can be seen from outside against what was promised:
// see the checks in model_check_test.go. Each byte is one thing that happens; a seed that fails prints them in words.
//
// It was seen to find, each when it was broken on purpose: the comparison with the newest change in takeEffect; that
// changes which are overdue wait until all is read, and those before an immediate one do not; the place of an overtaken
// change among the endings; the wait for an older ending before a newer change is sent; the hold after a takeover; the
// list of open changes in the ledger; the ledger's recent message IDs; replacing, cancelling and expiring; telling a
// wait once, and again where that was not stored; reapplying only for a later sign-in and only once all is read; the count of a batch after a crash, and
// that its last message waits for the summary.
func FuzzModel(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(script(random, 60))
	}
	f.Fuzz(func(t *testing.T, script []byte) { play(t, script[:min(len(script), 200)]) })
}

var (
	modelFor  = flag.Duration("model.for", 0, "play that long at sites that were never played, until one fails")
	modelFrom = flag.Uint64("model.from", 0, "the seed of the first of them; 0: by the clock")
)

// TestModel plays a few hundred sites, the same ones each time. What happens once in ten thousand is found by
// go test ./worker -run TestModel -model.for 5m -timeout 10m, which names the seed that failed.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		play(t, script(rand.New(rand.NewPCG(seed, 7)), 20+int(seed)%80))
	}
	seed := *modelFrom
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for began := time.Now(); time.Since(began) < *modelFor && !t.Failed(); seed++ {
		t.Run(fmt.Sprintf("-model.from=%d", seed), func(t *testing.T) {
			play(t, script(rand.New(rand.NewPCG(seed, 7)), 20+int(seed%130)))
		})
	}
}

func script(random *rand.Rand, n int) []byte {
	s := make([]byte, n)
	for i := range s {
		s[i] = byte(random.Uint32())
	}
	return s
}

// play does what the script says, lets everything run out and checks it.
func play(t *testing.T, script []byte) {
	t.Helper()
	var done []string
	defer func() {
		if t.Failed() {
			t.Logf("%q\n\t%s", script, strings.Join(done, "\n\t"))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(true)
		for _, b := range script {
			s := steps[int(b)%len(steps)]
			done = append(done, s.name)
			s.do(w)
			synctest.Wait()
			w.checkReasons()
			w.checkCoverage()
		}
		w.runOut()
		w.check()
		w.site.finish()
	})
}

// world is a site, with what was asked of it and what its gateway saw.
type world struct {
	*site
	backend  *backend
	items    []*item
	sent     []*sentMessage
	named    map[string]int // agent to how many of its changes have a name of their own
	flags    int
	rev      uint64
	ins      map[string]int // agent to how often it signed in
	puts     map[string]int // agent to how often the registry was told of a session
	left     []string       // messages of the open batch over several messages that were not published yet
	many     int
	crowds   int       // messages with many items of one agent
	heldTill time.Time // until then calls of the term before may land
	clean    bool      // nothing of the last term may land
}

// item is one change of a message, as the naive model sees it.
type item struct {
	messages.Change
	seq      uint64
	at       time.Time // it takes effect
	until    time.Time
	asked    time.Time // when it was published, by our clock
	rejected bool
	again    bool // its message came again: no ending
	msg      *sentMessage
}

type sentMessage struct {
	body, id string
	seq      uint64
	stored   time.Time
	cancel   bool
	again    bool
}

const (
	modelValidity  = 2 * time.Hour
	modelRetention = 24 * time.Hour
	modelHold      = 5 * time.Second
)

var agents = []string{"1001", "1002", "1003"}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := newSite(t, Policy{
		Rate: 50, MaxInFlight: 2, MaxAttempts: 3, Validity: modelValidity, Retention: modelRetention,
		Backoff: Backoff{Initial: 200 * time.Millisecond, Max: 5 * time.Second},
	})
	w := &world{site: s, backend: newBackend(s.gateway), named: map[string]int{}, ins: map[string]int{}, puts: map[string]int{}}
	return w
}

// publishes stores a message, and says what the naive model makes of it.
func (w *world) publishes(body, id string, again bool) {
	m := &sentMessage{body: body, id: id, again: again}
	if w.inbox != nil {
		m.seq = w.publish(body, id)
	} else {
		m.seq = w.store(body, id)
	}
	decoded := messages.Decode([]byte(body), id)
	m.stored = time.Now().Add(w.ahead)
	w.sent = append(w.sent, m)
	for _, c := range decoded.Changes {
		it := &item{Change: c, seq: m.seq, at: m.stored, asked: time.Now(), again: again, msg: m}
		if c.EffectiveAt.After(it.at) {
			it.at = c.EffectiveAt
		}
		it.until = it.at.Add(modelValidity)
		if !c.ValidUntil.IsZero() {
			it.until = c.ValidUntil
		}
		m.cancel = m.cancel || c.Cancel
		w.items = append(w.items, it)
	}
	for _, r := range decoded.Rejected {
		c := messages.Change{AgentID: r.AgentID, ID: r.ID, Index: r.Index, BatchID: r.BatchID, BatchTotal: r.BatchTotal}
		w.items = append(w.items, &item{Change: c, seq: m.seq, rejected: true, again: again, msg: m})
	}
}

// start begins a term. It needs no hold where no call of the last one may still land.
func (w *world) start(hold bool) {
	if w.inbox != nil {
		return
	}
	w.hold = 0
	if !w.clean && (hold || w.backend.anyBusy()) {
		w.hold = modelHold
	}
	w.heldTill = time.Now().Add(w.hold)
	w.site.start()
}

func (w *world) ends(clean bool) {
	if w.inbox == nil {
		return
	}
	w.holdAll = time.Now().Before(w.heldTill)
	w.clean = clean && !w.holdAll // a stop says nothing of the calls that its own hold was for
	if clean {
		w.finish()
	} else {
		w.crash()
	}
}

// runOut has everything come to its end: a sound gateway, agents that sign in, and time.
func (w *world) runOut() {
	for len(w.left) > 0 {
		w.publishRest()
	}
	w.backend.setMode("", "")
	w.backend.set(func() { w.backend.takes = 0 })
	w.journal.set(func() {
		w.journal.failNext, w.journal.takes, w.journal.answers, w.journal.countsFor = 0, 0, 0, 0
	})
	w.reading = 0
	w.worker.SetControls(Controls{})
	w.start(true)
	for _, agent := range agents {
		w.signsIn(agent)
	}
	w.pass(2 * time.Minute)
	w.backend.set(func() { w.journal.set(w.checkGateway) })
	w.pass(3 * time.Hour)
}

func (w *world) signsIn(agent string) {
	w.pass(time.Nanosecond) // nobody signs in twice at the same instant
	w.rev++
	w.ins[agent]++
	w.puts[agent]++
	guid := fmt.Sprint("g", w.rev)
	w.backend.set(func() {
		w.backend.good[agent], w.backend.holds[agent] = guid, "true" // signing in resets the flag
		w.backend.signIns[agent]++
	})
	w.sessions.Put(agent, modelSession(agent, guid, time.Now()), w.rev)
	synctest.Wait()
}

// modelSession has one of the agents behind a second address of the gateway.
func modelSession(agent, guid string, signedIn time.Time) messages.Session {
	s := messages.Session{GUID: guid, SignedInAt: signedIn}
	if agent == "1003" {
		s.GatewayURL = "https://node2:8043"
	}
	return s
}

// backend lets the fake gateway answer as a real one does: it knows which GUIDs are valid, and has modes in which it is faulty.
type backend struct {
	*fakeGateway
	good map[string]string // agent to the GUID that is valid
	mode string            // how it answers; empty: as it should
	only string            // the one agent that is answered so; empty: all
}

func newBackend(g *fakeGateway) *backend {
	b := &backend{fakeGateway: g, good: map[string]string{}}
	g.lingers, g.respond = true, b.answers
	return b
}

func (b *backend) setMode(mode, only string) {
	b.set(func() {
		b.mode, b.only, b.unsent, b.breaks = mode, only, mode == "not sent", mode == "connections break"
	})
}

// answers is called with the gateway's lock held.
func (b *backend) answers(s *seen) Answer {
	mode := b.mode
	if s.loose || b.only != "" && b.only != s.AgentID {
		mode = ""
	}
	switch mode {
	case "noise": // every other call, as good as at random
		mode = []string{"", "fault", "", "busy", "", "passing", "", "too many"}[len(b.calls)%8]
	case "flapping":
		if time.Now().UnixMilli()/300%2 == 0 {
			mode = "fault"
		}
	case "one address down":
		if s.Session.GatewayURL != "" {
			mode = "fault"
		}
	}
	switch mode {
	case "refused":
		return Answer{Class: Refused, Retcode: "000-002", Message: "bad parameter"}
	case "passing":
		return Answer{Class: Passing, Retcode: "100-007", Message: "internal error"}
	case "fault":
		return Answer{Class: Unsound, Fault: "connection reset"}
	case "busy":
		return Answer{Class: Busy, Status: 503, Fault: "503"}
	case "too many":
		return Answer{Class: Busy, Status: 429, Fault: "429"}
	case "retry after":
		return Answer{Class: Busy, Status: 503, RetryAfter: 3 * time.Second, Fault: "503"}
	}
	if guid := b.good[s.AgentID]; guid == "" || s.Session.GUID != guid {
		return Answer{Class: NoAgent, Retcode: "100-006", Message: "not signed in"}
	}
	return Answer{Class: Success, Retcode: "0", Message: "success"}
}
