package worker

import (
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// How many results a view has, and how long their texts may be: a view is sent over NATS, where a message may have 1 MiB.
const (
	recentResults = 40
	recentTrouble = 80
	recentText    = 240
)

// recent keeps the last results for views, and separately the last ones that somebody should look at: in a wave of changes, a
// failed one would disappear from the others within a second.
type recent struct {
	all     ring
	trouble ring
	ended   uint64           // changes that ended in this term
	unkept  map[*lane]string // what could not be stored as it was
}

func (r *recent) add(result *messages.Result) {
	kept := *result
	kept.Message, kept.Reason, kept.Source = cut(kept.Message), cut(kept.Reason), cut(kept.Source)
	r.all.add(recentResults, kept)
	if result.Outcome.Ends() {
		r.ended++
	}
	switch result.Outcome {
	case messages.Failed, messages.Expired, messages.Rejected:
		r.trouble.add(recentTrouble, kept)
	default:
	}
}

// maxUnkept bounds how many agents' storage troubles are remembered.
const maxUnkept = 1000

// noteKept remembers that something could not be stored as it was. The Journal has logged it.
func (r *recent) noteKept(c *change, what string, kept Kept) {
	switch ln := c.lane; {
	case kept == KeptWhole, r.unkept[ln] == "" && len(r.unkept) >= maxUnkept:
	case kept == KeptCut:
		r.unkept[ln] = "the " + what + " of change " + c.id + " could not be stored as it was and was cut"
	case kept == KeptNot:
		r.unkept[ln] = "the " + what + " of change " + c.id + " could not be stored; the worker's log has it"
	}
}

// ring holds the last few results. It allocates nothing before there are any.
type ring struct {
	kept []messages.Result
	next int // where the next one goes once it is full
}

func (r *ring) add(most int, result messages.Result) {
	if len(r.kept) < most {
		r.kept = append(r.kept, result)
		return
	}
	r.kept[r.next] = result
	r.next = (r.next + 1) % most
}

// newest returns copies of the results, newest first.
func (r *ring) newest() []messages.Result {
	found := slices.Concat(r.kept[r.next:], r.kept[:r.next])
	slices.Reverse(found)
	return found
}

func cut(text string) string {
	if len(text) <= recentText {
		return text
	}
	return strings.ToValidUTF8(text[:recentText], "") + "…"
}

// waitList collects the waiting changes that most need attention, without sorting all of them: a site has 20,000 agents, and the
// event loop has other things to do.
type waitList struct {
	found []waiting // the first view.MaxWaits so far, in order
}

type waiting struct {
	lane   *lane
	change *change
	rank   int
}

// waitRank returns the order in which waits are shown: those that the gateway's answers caused before those that are planned. Changes
// that are due or being called need no attention.
func waitRank(why view.Reason) (rank int, shown bool) {
	switch why {
	case view.Retry:
		return 0, true
	case view.Session, view.OlderCall, view.OlderEnding:
		return 1, true
	case view.Debounce, view.Hold:
		return 2, true
	case view.SignIn:
		return 3, true
	case view.Instant, view.Reading:
		return 4, true
	case view.None, view.Gate, view.Answer, view.Storing, view.Unknown:
	}
	return 0, false
}

func (w *waitList) add(ln *lane, c *change) {
	rank, shown := waitRank(c.why)
	if !shown {
		return
	}
	next := waiting{ln, c, rank}
	if len(w.found) == view.MaxWaits && !next.before(w.found[view.MaxWaits-1]) {
		return
	}
	at, _ := slices.BinarySearchFunc(w.found, next, func(a, b waiting) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	w.found = slices.Insert(w.found, at, next)
	w.found = w.found[:min(len(w.found), view.MaxWaits)]
}

func (a waiting) before(b waiting) bool {
	switch {
	case a.rank != b.rank:
		return a.rank < b.rank
	case a.change.at != b.change.at:
		return a.change.at < b.change.at
	default:
		return a.lane.agent < b.lane.agent
	}
}

func (w *waitList) views(s *schedule) []view.Wait {
	all := make([]view.Wait, 0, len(w.found))
	for _, f := range w.found {
		v := s.viewChange(f.change)
		v.Message = cut(v.Message)
		all = append(all, view.Wait{AgentID: f.lane.agent, Change: v})
	}
	return all
}

// SignIns returns the first and the last sign-in time of the agents that are signed in. Both are zero if no record has one.
func (s *Sessions) SignIns() (first, last time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, r := range s.signed {
		at := r.signedInAt
		switch {
		case at.IsZero():
			continue
		case first.IsZero() || at.Before(first):
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}
