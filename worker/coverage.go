package worker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// coverage counts how agents stand with the policy that is desired for them now. A lane's state is updated whenever the
// scheduler has looked at it, and when its policy ends.
type coverage struct {
	*clock
	sessions *Sessions
	counts   view.Coverage
	ends     heapOf[*lane]           // of policies in force
	gaveUp   map[*lane]ledger.SignIn // those for which the gateway refused to reapply the policy
}

func newCoverage(c *clock, sessions *Sessions) coverage {
	return coverage{clock: c, sessions: sessions, gaveUp: map[*lane]ledger.SignIn{}, ends: heapOf[*lane]{
		less:  func(a, b *lane) bool { return a.ends < b.ends },
		place: func(ln *lane) *int32 { return &ln.endsPlace },
	}}
}

// update counts the lane under the state that it is in now.
func (cv *coverage) update(ln *lane) {
	state := cv.of(ln)
	cv.counts.Add(ln.cover, -1)
	cv.counts.Add(state, 1)
	ln.cover = state
	if ends := ln.policyEnds(); ends > cv.now.UnixNano() {
		ln.ends = ends
		cv.ends.put(ln)
	} else {
		cv.ends.remove(ln)
	}
}

// policyEnds returns when the agent's policy in force ends, in Unix nanoseconds; 0: it has none.
func (ln *lane) policyEnds() int64 {
	if ln.ledger.InForce == nil {
		return 0
	}
	return nanos(ln.ledger.InForce.Result.ValidUntil)
}

// of returns how the agent stands with the policy that is desired for it now. A new owner finds the same in the ledger.
func (cv *coverage) of(ln *lane) view.CoverState {
	if ln.live != nil {
		return coverWaiting(ln.live.why)
	}
	switch ln.newestEnding() {
	case messages.Failed:
		return view.CoverFailed
	case messages.Expired:
		return view.CoverExpired
	case messages.Applied, messages.Superseded:
		return cv.ofApplied(ln)
	case messages.Rejected, messages.Waiting, messages.Reapplied:
	}
	if ln.newest().Pos.Seq == 0 {
		return cv.ofApplied(ln) // an older version of the worker did not record what took effect
	}
	return view.CoverDue // its ending is being stored, or it has not been read yet
}

// ofApplied returns how an agent stands whose newest change was applied, or withdrawn.
func (cv *coverage) ofApplied(ln *lane) view.CoverState {
	f := ln.ledger.InForce
	if f == nil || !f.Result.ValidUntil.After(cv.now) {
		return view.NotCounted
	}
	session, signedIn := cv.sessions.Of(ln.agent)
	switch {
	case !signedIn:
		return view.CoverNotSignedIn
	case !session.newSince(ln.ledger.SignIn):
		return view.CoverInForce
	case !session.newSince(cv.gaveUp[ln]):
		return view.CoverFailed
	case ln.reapply != nil:
		return coverWaiting(ln.reapply.why)
	default:
		return view.CoverDue // it is reapplied in a moment, or never if reapplying is turned off
	}
}

func coverWaiting(why view.Reason) view.CoverState {
	switch why {
	case view.Retry:
		return view.CoverRetrying
	case view.SignIn, view.Session:
		return view.CoverNotSignedIn
	case view.None, view.Instant, view.Reading, view.Hold, view.Debounce, view.OlderCall, view.OlderEnding, view.Gate, view.Answer,
		view.Storing, view.Unknown:
	}
	return view.CoverDue
}

// newestEnding returns how the change that took effect last has ended, as stored; empty: it has not. What an older version
// of the worker wrote says so only if that was the agent's last result, or if it was applied.
func (ln *lane) newestEnding() messages.Outcome {
	n := ln.newest()
	known := ln.ledger
	switch {
	case n.Ended != "" || n.Pos.Seq == 0:
		return n.Ended
	case known.InForce != nil && known.InForce.Pos == n.Pos:
		return messages.Applied
	case known.Last.Pos == n.Pos && known.Last.Outcome.Ends():
		return known.Last.Outcome
	case known.Ended(n.Pos):
		return messages.Superseded
	default:
		return ""
	}
}

// endPolicies updates the agents whose policy has passed its valid_until.
func (cv *coverage) endPolicies() {
	for {
		ln, ok := cv.ends.first()
		if !ok || ln.ends > cv.now.UnixNano() {
			return
		}
		cv.ends.remove(ln)
		cv.update(ln)
	}
}

// Covered asks the running term for agents with a desired policy; ok is false while this process is not the owner. The
// event loop only looks each agent up; sorting them is left to the asker.
func (w *Worker) Covered(ctx context.Context, q view.CoverageQuery) (page view.CoveragePage, ok bool) {
	limit := min(cmp.Or(q.Limit, 100), view.MaxCovered)
	var found []string
	if !w.ask(ctx, func(l *loop) { found = l.lanes.covered(q) }) {
		return page, false
	}
	slices.SortFunc(found, byNumber)
	page.Total = len(found)
	from, same := slices.BinarySearchFunc(found, q.After, byNumber)
	if q.After == "" {
		from = 0
	} else if same {
		from++
	}
	upTo := min(from+max(limit, 0), len(found))
	page.More = upTo < len(found)
	found = found[from:upTo]
	var rows []view.Covered
	if !w.ask(ctx, func(l *loop) { rows = l.lanes.viewCovered(found) }) {
		return page, false
	}
	page.Agents = rows
	return page, true
}

// byNumber orders agent IDs, which have no leading zeros.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

func (ls lanes) covered(q view.CoverageQuery) []string {
	var found []string
	for agent, ln := range ls {
		switch {
		case ln.cover == view.NotCounted, q.State != view.NotCounted && ln.cover != q.State, !strings.HasPrefix(agent, q.Prefix):
		case q.Batch != "" && ln.batchID() != q.Batch, q.Reason != view.None && ln.waitsFor() != q.Reason:
		default:
			found = append(found, agent)
		}
	}
	return found
}

func (ls lanes) viewCovered(agents []string) []view.Covered {
	rows := make([]view.Covered, 0, len(agents))
	for _, agent := range agents {
		ln := ls[agent]
		row := view.Covered{AgentID: agent, State: ln.cover, ChangeID: ln.newest().ID, BatchID: ln.batchID(), WaitsFor: ln.waitsFor()}
		c := cmp.Or(ln.live, ln.reapply)
		switch f := ln.ledger.InForce; {
		case c != nil:
			row.Flag, row.ChangeID = c.flag, c.id
			if c.try != nil {
				row.Retcode, row.Message = c.try.retcode, cut(cmp.Or(c.try.fault, c.try.message))
			}
		case f != nil && ln.cover != view.CoverFailed && ln.cover != view.CoverExpired:
			row.Flag, row.ChangeID = f.Result.Flag, f.Result.ChangeID
		}
		rows = append(rows, row)
	}
	return rows
}

// batchID returns the batch of the change that took effect last; empty: it has none.
func (ln *lane) batchID() string { return ln.newest().Batch }

// waitsFor returns why the agent does not have its policy yet.
func (ln *lane) waitsFor() view.Reason {
	if c := cmp.Or(ln.live, ln.reapply); c != nil {
		return c.why
	}
	return view.None
}
