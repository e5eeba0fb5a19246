package worker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// ending is the result that ended an item.
type ending struct {
	messages.Result
	at time.Time
	n  int // its place among all results

	late bool // it was stored after its term had died, and the next one may not know of it
}

// withdrawn reports whether the result waits for no other of its agent.
func (e *ending) withdrawn() bool {
	return e.Outcome == messages.Rejected || e.Message == "cancelled" || strings.HasPrefix(e.Message, "replaced")
}

func (it *item) String() string { return fmt.Sprintf("%d.%d %q", it.seq, it.Index, it.ID) }

// before reports whether an item takes effect before another.
func (it *item) before(o *item) bool {
	return cmp.Or(it.at.Compare(o.at), cmp.Compare(it.seq, o.seq), cmp.Compare(it.Index, o.Index)) < 0
}

// check holds what happened against what was promised.
func (w *world) check() {
	w.wantNothingWaiting()
	endings := w.endings()
	for _, it := range w.items {
		if e := endings[it]; e != nil {
			w.checkEnding(it, e, endings)
		}
	}
	w.checkOrder(endings)
	w.checkCalls(endings)
	w.checkWaits()
	w.checkBatches(endings)
	w.checkLetters(endings)
	w.checkRest()
	if n := w.journal.longest(); n > 48<<10 {
		w.t.Errorf("a ledger of %d bytes: the header of a result holds 64 KiB", n)
	}
}

// endings finds the one ending of each item.
func (w *world) endings() map[*item]*ending {
	found := map[*item]*ending{}
	for n, rec := range w.journal.records {
		r := rec.Result
		if !r.Outcome.Ends() {
			continue
		}
		it := w.itemOf(r.ChangeSeq, r.ChangeIndex)
		switch {
		case it == nil || it.again || it.Cancel || it.AgentID != r.AgentID:
			w.t.Errorf("an ending for nothing: %+v", r)
		case found[it] != nil:
			w.t.Errorf("two endings of %d.%d: %+v and %+v", it.seq, it.Index, found[it].Result, r)
		default:
			found[it] = &ending{r, w.journal.at[n], n, w.journal.late[n]}
		}
	}
	for _, it := range w.items {
		if found[it] == nil && !it.again && !it.Cancel {
			w.t.Errorf("no ending of %v: %s", it, it.msg.body)
		}
	}
	return found
}

func (w *world) itemOf(seq uint64, index int) *item {
	for _, it := range w.items {
		if it.seq == seq && it.Index == index {
			return it
		}
	}
	return nil
}

func (w *world) checkEnding(it *item, e *ending, endings map[*item]*ending) {
	w.t.Helper()
	wrong := func(why string) { w.t.Errorf("%s: %+v", why, e.Result) }
	if it.rejected != (e.Outcome == messages.Rejected) {
		wrong("rejected or not")
	}
	if !e.withdrawn() && e.FinishedAt.Add(w.ahead).Before(it.at) {
		wrong("ended before it took effect")
	}
	mine := w.callsOf(it)
	switch e.Outcome {
	case messages.Applied:
		if !slices.ContainsFunc(mine, func(s *seen) bool { return s.success }) {
			wrong("the gateway never accepted it")
		}
	case messages.Failed:
		if len(mine) == 0 || e.Attempts == 0 {
			wrong("failed without a call")
		}
	case messages.Expired:
		if e.FinishedAt.Before(it.until) {
			wrong("expired too early")
		}
	case messages.Superseded:
		w.checkSuperseded(it, e)
	case messages.Rejected, messages.Waiting, messages.Reapplied:
	}
	for _, by := range w.items {
		// What names the same change, and was published while that one waited for its instant, withdraws it.
		if by.AgentID == it.AgentID && by.ID == it.ID && by.seq > it.seq && !by.rejected && !by.again && !it.rejected && it.at.After(by.msg.stored) && !e.withdrawn() {
			wrong("should have been replaced or cancelled")
		}
	}
}

func (w *world) checkSuperseded(it *item, e *ending) {
	found := slices.ContainsFunc(w.items, func(by *item) bool {
		if by.AgentID != it.AgentID || by.rejected || by.again {
			return false
		}
		switch {
		case e.Message == "cancelled":
			return by.Cancel && by.ID == it.ID && by.seq > it.seq
		case e.withdrawn():
			return by.ID == it.ID && e.SupersededBy == it.ID && by.seq > it.seq && !by.Cancel && it.at.After(by.msg.stored)
		default:
			return by.ID == e.SupersededBy && it.before(by) && !by.at.After(e.at.Add(w.ahead)) && !by.Cancel
		}
	})
	if !found {
		w.t.Errorf("nothing superseded it: %+v", e.Result)
	}
}

// checkOrder: the endings of one agent come in the order in which its changes took effect.
func (w *world) checkOrder(endings map[*item]*ending) {
	for _, agent := range agents {
		var its []*item
		for it, e := range endings {
			if it.AgentID == agent && !e.withdrawn() {
				its = append(its, it)
			}
		}
		slices.SortFunc(its, func(a, b *item) int { return cmp.Compare(endings[a].n, endings[b].n) })
		for i := range its[:max(0, len(its)-1)] {
			if !its[i].before(its[i+1]) {
				w.t.Errorf("agent %s: the ending of %d.%d comes before that of %d.%d", agent, its[i].seq, its[i].Index,
					its[i+1].seq, its[i+1].Index)
			}
		}
	}
}

// checkWaits: a wait is told once each time it starts.
func (w *world) checkWaits() {
	type wait struct {
		seq     uint64
		index   int
		instant bool
	}
	told := map[wait]int{}
	for _, rec := range w.journal.records {
		if r := rec.Result; r.Outcome == messages.Waiting {
			told[wait{r.ChangeSeq, r.ChangeIndex, strings.Contains(r.Message, "effective_at")}]++
		}
	}
	for what, n := range told {
		it := w.itemOf(what.seq, what.index)
		starts := 1
		if !what.instant {
			starts += w.backend.begun[it.AgentID+" "+it.Flag] + w.puts[it.AgentID]
		}
		if n > starts {
			w.t.Errorf("%d waits of %+v told, %d started", n, what, starts)
		}
	}
}

// checkBatches: one summary of each generation of a batch, in their order, and it is right.
func (w *world) checkBatches(endings map[*item]*ending) {
	want := w.generations(endings)
	for i, got := range w.journal.summaries {
		key := w.journal.summed[i]
		if len(want[key]) == 0 {
			w.t.Errorf("a second summary, or one of nothing: %+v", got)
			continue
		}
		sum := want[key][0]
		want[key] = want[key][1:]
		if got.StartedAt.IsZero() || got.FinishedAt.Add(w.ahead).Before(got.StartedAt) {
			w.t.Errorf("a batch from %v to %v", got.StartedAt, got.FinishedAt)
		}
		got.StartedAt, got.FinishedAt = sum.StartedAt, sum.FinishedAt
		if got != *sum || got.Total != got.Ended() {
			w.t.Errorf("summary %+v, want %+v", got, *sum)
		}
	}
	for key, missing := range want {
		if len(missing) > 0 {
			w.t.Errorf("%d summaries of %+v are missing", len(missing), key)
		}
	}
}

// generations are the batches as they were published: those over several messages until the total is reached.
func (w *world) generations(endings map[*item]*ending) map[BatchKey][]*messages.BatchSummary {
	generations := map[BatchKey][]*messages.BatchSummary{}
	var last uint64 // message of a batch over several, and its total
	var total int
	for _, it := range w.items {
		if it.BatchID == "" || it.again || it.Cancel || endings[it] == nil {
			continue
		}
		key := BatchKey{ID: it.BatchID}
		if it.BatchTotal == 0 {
			key.Seq = it.seq
		}
		all := generations[key]
		if n := len(all); n == 0 || (key.Seq == 0 && all[n-1].Total >= total && it.seq != last) {
			all = append(all, &messages.BatchSummary{BatchID: it.BatchID})
			generations[key] = all
		}
		if key.Seq == 0 {
			total, last = it.BatchTotal, it.seq
		}
		all[len(all)-1].Total++
		all[len(all)-1].Count(endings[it].Outcome)
	}
	return generations
}

// checkLetters: one dead letter for each change that failed or was rejected, and no other.
func (w *world) checkLetters(endings map[*item]*ending) {
	letters := map[*item]int{}
	for _, l := range w.journal.letters {
		letters[w.itemOf(l.Pos.Seq, l.Pos.Index)]++
	}
	for it, e := range endings {
		want := 0
		if e.Outcome == messages.Failed || e.Outcome == messages.Rejected {
			want = 1
		}
		if letters[it] != want {
			w.t.Errorf("%d dead letters of %+v", letters[it], e.Result)
		}
		delete(letters, it)
	}
	if len(letters) > 0 {
		w.t.Errorf("dead letters of nothing: %v", letters)
	}
}

// checkReasons: every change that is not finished waits for exactly one thing, and so does every policy that is to be
// reapplied. The counts that are kept are those of a look at each of them.
func (w *world) checkReasons() {
	if w.inbox == nil {
		return
	}
	w.inside(func(l *loop) {
		want := view.Counts{}
		for _, ln := range l.lanes {
			for _, c := range ln.unended {
				want[w.wantReason(c)]++
			}
			if ln.reapply != nil {
				want[w.wantReason(ln.reapply)]++
			}
		}
		v := l.view()
		if !maps.Equal(v.Waiting, want) || v.Changes != want.All() || v.Changes != v.Due+v.Later+v.NotSignedIn+v.Retrying+v.Held+want.Of(view.Answer, view.Storing) || v.Due != l.ready.len() {
			w.t.Errorf("waiting %v, want %v; changes %d, due %d, ready %d", v.Waiting, want, v.Changes, v.Due, l.ready.len())
		}
	})
}

// checkCoverage: the counts that are kept are those of a look at each agent, and a new owner who knows only what is stored
// would find the same for every agent of whom nothing is under way.
func (w *world) checkCoverage() {
	if w.inbox == nil {
		return
	}
	w.inside(func(l *loop) {
		var want view.Coverage
		for _, ln := range l.lanes {
			state := l.coverage.of(ln)
			want.Add(state, 1)
			if ln.cover != state {
				w.t.Errorf("agent %s is counted as %v, want %v", ln.agent, ln.cover, state)
			}
			if ln.live == nil && ln.out == nil && ln.inFlight == nil && ln.reapply == nil && ln.agent != messages.UnknownAgent {
				w.checkCovered(l, ln)
			}
		}
		if l.coverage.counts != want {
			w.t.Errorf("coverage %+v, want %+v", l.coverage.counts, want)
		}
	})
}

// checkCovered: a naive look at the results and the sessions confirms how an agent stands that nothing is under way for.
func (w *world) checkCovered(l *loop, ln *lane) {
	var newest *item
	var ending messages.Outcome
	var force *messages.Result
	withdrawn := false
	for _, rec := range w.journal.all() {
		if rec.AgentID != ln.agent || !rec.Outcome.Ends() || rec.Outcome == messages.Rejected {
			continue
		}
		it := w.itemOf(rec.ChangeSeq, rec.ChangeIndex)
		if strings.HasPrefix(rec.Message, "replaced") {
			continue
		}
		withdrawn = withdrawn || rec.Message == "cancelled" // nobody outside can tell whether it had taken effect
		if newest == nil || newest.before(it) {
			newest, ending = it, rec.Outcome
		}
		if rec.Outcome == messages.Applied {
			force = &rec
		}
	}
	if withdrawn || newest == nil {
		return
	}
	want := view.NotCounted
	_, signedIn := w.sessions.Of(ln.agent)
	switch {
	case ending == messages.Failed:
		want = view.CoverFailed
	case ending == messages.Expired:
		want = view.CoverExpired
	case force == nil || !force.ValidUntil.After(l.now):
	case !signedIn:
		want = view.CoverNotSignedIn
	default:
		want = view.CoverInForce
	}
	if got := ln.cover; got != want && (want != view.CoverInForce || got == view.NotCounted || got == view.CoverExpired) {
		w.t.Errorf("agent %s stands as %v, want %v: %v %v", ln.agent, got, want, newest, ending)
	}
}

// wantReason is the reason of a change as its place in its lane says it.
func (w *world) wantReason(c *change) view.Reason {
	ln := c.lane
	fits := false
	switch c.why {
	case view.Instant, view.Reading:
		fits = slices.Contains(ln.later, c)
	case view.Answer:
		fits = ln.inFlight == c
	case view.Storing:
		fits = c.ended
	case view.Gate:
		fits = c.ready != 0
	case view.SignIn, view.Session, view.Retry, view.Hold, view.Debounce, view.OlderCall, view.OlderEnding:
		fits = ln.inFlight != c && (ln.live == c || ln.reapply == c)
	case view.None, view.Unknown:
	}
	if !fits {
		w.t.Errorf("change %q of agent %s waits for %v", c.id, ln.agent, c.why)
	}
	return c.why
}

// checkRest: nothing is left inside either.
func (w *world) checkRest() {
	w.inside(func(l *loop) {
		if len(l.backlog.messages)+l.ready.len()+l.instants.Len()+l.pauses.Len()+len(l.batches.open)+len(l.backlog.overdue)+l.pipeline.results+l.batches.storing+l.gate.InFlight() > 0 || l.backlog.behind {
			w.t.Errorf("left: messages %v, ready %d, timers %d, batches %v, overdue %d, entries %d, closings %d, in flight %d, behind %v",
				l.backlog.messages, l.ready.len(), l.instants.Len()+l.pauses.Len(), l.batches.open, len(l.backlog.overdue), l.pipeline.results, l.batches.storing, l.gate.InFlight(), l.backlog.behind)
		}
		if n := l.term.Inbox.load + l.term.Inbox.dead; n != 0 {
			w.t.Errorf("left in the inbox: %d", n)
		}
		for _, ln := range l.lanes {
			if ln.live != nil || ln.inFlight != nil || len(ln.later)+len(ln.unended) > 0 || ln.out != nil {
				w.t.Errorf("left in lane: %+v", ln)
			}
		}
	})
}
