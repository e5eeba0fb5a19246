package status

import (
	"slices"
	"sync"

	"idlepolicy/messages"
)

// keptResults is how many results are kept of each kind.
const keptResults = 200

// results keeps the last results, and separately the last ones that need attention: in a wave of changes, a failed one would disappear
// from the others within seconds.
type results struct {
	mu      sync.Mutex // guards what follows
	all     lastResults
	trouble lastResults
}

// lastResults is a ring.
type lastResults struct {
	ring [keptResults]messages.Result
	next int // where the next one goes
	n    int
}

func (l *lastResults) add(r *messages.Result) {
	l.ring[l.next] = *r
	l.next = (l.next + 1) % keptResults
	l.n = min(l.n+1, keptResults)
}

// newest returns up to n of them, the newest first.
func (l *lastResults) newest(n int) []messages.Result {
	n = min(n, l.n)
	found := make([]messages.Result, 0, n)
	for i := range n {
		found = append(found, l.ring[(l.next-1-i+keptResults)%keptResults])
	}
	return found
}

func (r *results) add(result *messages.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.add(result)
	switch result.Outcome {
	case messages.Failed, messages.Expired, messages.Rejected:
		r.trouble.add(result)
	default:
	}
}

// learn adds the last results of another process, newest first, so that a standby has something to show, even after a takeover. It is
// called only now and then, so in a wave of changes some are missing.
func (r *results) learn(all, trouble []messages.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.learn(all)
	r.trouble.learn(trouble)
}

func (l *lastResults) learn(told []messages.Result) {
	known := l.newest(keptResults)
	for _, result := range slices.Backward(told) {
		if !slices.ContainsFunc(known, func(k messages.Result) bool { return sameResult(k, result) }) {
			l.add(&result)
		}
	}
}

// last returns up to n of the last results, and all kept ones that need attention.
func (r *results) last(n int) (all, trouble []messages.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.newest(n), r.trouble.newest(keptResults)
}

// of returns what is kept about one agent, the newest first.
func (r *results) of(agent string) []messages.Result {
	all, trouble := r.last(keptResults)
	var found []messages.Result
	for _, result := range slices.Concat(all, trouble) {
		known := slices.ContainsFunc(found, func(f messages.Result) bool { return sameResult(f, result) })
		if result.AgentID == agent && !known {
			found = append(found, result)
		}
	}
	slices.SortStableFunc(found, func(a, b messages.Result) int { return b.FinishedAt.Compare(a.FinishedAt) })
	return found
}

func sameResult(a, b messages.Result) bool {
	return a.ChangeSeq == b.ChangeSeq && a.ChangeIndex == b.ChangeIndex && a.Outcome == b.Outcome && a.FinishedAt.Equal(b.FinishedAt)
}
