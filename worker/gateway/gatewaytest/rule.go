package gatewaytest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Rule says what is different about some calls. The zero value of a field means: as usual. Of all rules that a call
// matches, the one that was added first is the only one that acts.
type Rule struct {
	// Which calls.
	Times int     // only the next so many, then the rule is gone; 0: all
	Share float64 // only this share of them, chosen at random; 0: all
	Flag  string  // only calls with this flag; empty: any

	// When. A call whose client goes away during its latency does not take effect. A late one does, whatever becomes of
	// its client: it stands for a call that was held up on its way, so that other calls of its agent can go before it.
	Latency   time.Duration
	Jitter    time.Duration   // a random part of this is added to the latency
	LandAfter time.Duration   // late: it takes effect, and is answered, so much later still
	LandOn    <-chan struct{} // late: and not before something can be received, or the channel is closed

	// The gateway's own answer.
	Retcode string // with any but "0" the call does not take effect
	Message string
	Number  bool // the retcode as a JSON number, where it is one
	Result  Result

	// What comes instead of it.
	Fault      Fault
	Status     int // a page of this status; 429 and 503 are what proxies send
	RetryAfter time.Duration
	Date       bool   // Retry-After as an HTTP date instead of seconds
	Location   string // where a redirect leads
	Lands      bool   // the call takes effect although the answer does not say so
}

// Result is the form of the result in an answer, which is free to vary: nobody decides on it.
type Result int

// The forms of results.
const (
	EmptyObject Result = iota
	EmptyText
	NoResult
)

// On adds a rule for an agent's calls, or for all calls where agentID is "". What it returns takes the rule back.
func (g *Gateway) On(agentID string, r Rule) (remove func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	added := g.rules.add(agentID, r)
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.rules.remove(agentID, added)
	})
}

// ClearRules takes all rules back. Calls that are under way keep theirs.
func (g *Gateway) ClearRules() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = rules{next: g.rules.next, of: map[string][]*active{}}
}

// rules are kept by agent, so that thousands of agents can have rules of their own and calls stay cheap.
type rules struct {
	next int
	of   map[string][]*active
}

// active is a rule with its place among all rules, and how often it still acts.
type active struct {
	*Rule
	place int
	left  int
}

func newRules() rules { return rules{of: map[string][]*active{}} }

func (rs *rules) add(agentID string, r Rule) *active {
	rs.next++
	a := &active{Rule: &r, place: rs.next, left: r.Times}
	rs.of[agentID] = append(rs.of[agentID], a)
	return a
}

func (rs *rules) remove(agentID string, gone *active) {
	for i, a := range rs.of[agentID] {
		if a == gone {
			rs.of[agentID] = append(rs.of[agentID][:i:i], rs.of[agentID][i+1:]...)
			return
		}
	}
}

// usual is what acts where no rule does.
var usual = new(Rule)

// match finds the rule for a call and counts it.
func (rs *rules) match(agentID, flag string, random *rand.Rand) *Rule {
	all, own := rs.of[""], rs.of[agentID]
	if agentID == "" {
		own = nil
	}
	for len(all) > 0 || len(own) > 0 {
		owner, from := "", &all
		if len(all) == 0 || len(own) > 0 && own[0].place < all[0].place {
			owner, from = agentID, &own
		}
		a := (*from)[0]
		*from = (*from)[1:]
		if a.Flag != "" && a.Flag != flag || a.Share > 0 && random.Float64() >= a.Share {
			continue
		}
		if a.Times > 0 {
			if a.left--; a.left == 0 {
				rs.remove(owner, a)
			}
		}
		return a.Rule
	}
	return usual
}

// late reports whether the rule holds calls up on their way.
func (r *Rule) late() bool { return r.LandAfter > 0 || r.LandOn != nil }

// delay is the rule's latency for one call.
func (r *Rule) delay(random *rand.Rand) time.Duration {
	if r.Jitter <= 0 {
		return r.Latency
	}
	return r.Latency + time.Duration(random.Int64N(int64(r.Jitter)))
}
