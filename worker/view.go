package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"idlepolicy/worker/view"
)

// View returns a view of the running term; ok is false while this process is not the owner.
func (w *Worker) View(ctx context.Context) (v view.View, ok bool) {
	var answer view.View // the loop may still write it after ctx has ended
	if !w.ask(ctx, func(l *loop) { answer = l.view() }) {
		return view.View{}, false
	}
	return answer, true
}

// Agent returns a view of one agent; ok is false while this process is not the owner.
func (w *Worker) Agent(ctx context.Context, agent string) (v view.AgentView, ok bool) {
	var answer view.AgentView
	if !w.ask(ctx, func(l *loop) { answer = l.agentView(agent) }) {
		return view.AgentView{}, false
	}
	return answer, true
}

// asked is a question to the event loop.
type asked struct {
	question func(l *loop)
	answered chan struct{}
}

func (a asked) apply(l *loop) {
	a.question(l)
	close(a.answered)
}

func (w *Worker) ask(ctx context.Context, question func(l *loop)) bool {
	w.mu.Lock()
	l := w.current
	w.mu.Unlock()
	if l == nil {
		return false
	}
	a := asked{question, make(chan struct{})}
	l.mail.push(a)
	select {
	case <-a.answered:
		return true
	case <-l.mail.closed:
	case <-ctx.Done():
	}
	return false
}

func (l *loop) view() view.View {
	v := view.View{
		At: l.now, Gate: gateState(l.gate.State(l.now)), Agents: len(l.lanes), Unfinished: len(l.backlog.messages),
		InFlight: l.gate.InFlight(), Storing: l.pipeline.results, Estimate: l.forecast.estimate(),
		Coverage: l.coverage.counts, Since: l.start, Called: l.forecast.speed.all, Ended: l.recent.ended, Oldest: l.backlog.oldest(), OldestDue: l.ready.oldest(),
		Last: l.recent.all.newest(), Trouble: l.recent.trouble.newest(),
	}
	l.viewReasons(&v)
	v.Waits = l.viewWaits(l.lanes)
	l.batches.view(&v)
	return v
}

// viewReasons fills in how many changes wait for what. The counts are kept as the scheduler decides.
func (s *schedule) viewReasons(v *view.View) {
	v.Waiting = view.Counts{}
	for _, why := range view.Reasons() {
		if n := s.waiting[why]; n > 0 {
			v.Waiting[why] = n
		}
	}
	v.Changes = v.Waiting.All()
	v.Due = v.Waiting[view.Gate]
	v.Later = v.Waiting.Of(view.Instant, view.Reading)
	v.NotSignedIn = v.Waiting.Of(view.SignIn, view.Session)
	v.Retrying = v.Waiting[view.Retry]
	v.Held = v.Waiting.Of(view.Hold, view.Debounce, view.OlderCall, view.OlderEnding)
}

// viewWaits returns the waits that most need attention.
func (s *schedule) viewWaits(all lanes) []view.Wait {
	var w waitList
	for _, ln := range all {
		if ln.live != nil {
			w.add(ln, ln.live)
		}
		for _, c := range ln.later {
			w.add(ln, c)
		}
	}
	return w.views(s)
}

// view fills in the batches that are under way.
func (bs *batches) view(v *view.View) {
	v.Batches = make([]view.BatchView, 0, len(bs.open))
	for _, b := range bs.open {
		if len(b.generations) > 0 {
			v.Batches = append(v.Batches, view.BatchView{ID: b.key.ID, Progress: b.generations[0].soFar()})
		}
	}
	slices.SortFunc(v.Batches, func(a, b view.BatchView) int {
		return cmp.Or(a.Progress.StartedAt.Compare(b.Progress.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	if more := len(v.Batches) - view.MaxBatches; more > 0 {
		v.Batches, v.MoreBatches = v.Batches[:view.MaxBatches], more
	}
}

// oldest returns when the oldest change that is ready took effect; zero: there is none.
func (r *ready) oldest() time.Time {
	var at int64
	for c := range r.all() {
		if at == 0 || c.at < at {
			at = c.at
		}
	}
	return instant(at)
}

func (l *loop) agentView(agent string) view.AgentView {
	v := view.AgentView{AgentID: agent}
	if s, ok := l.Sessions.Of(agent); ok {
		v.SignedIn, v.SignedAt, v.Revision = true, s.SignedInAt, s.Rev
		if l.Ignored != nil {
			v.Ignored = l.Ignored(s.GatewayURL)
		}
	}
	v.Trouble = l.Sessions.Trouble(agent)
	ln := l.lanes[agent]
	if ln == nil {
		return v
	}
	if f := ln.ledger.InForce; f != nil && f.Result.ValidUntil.After(l.now) {
		v.InForce = &f.Result
	}
	if ln.live != nil {
		c := l.viewChange(ln.live)
		v.Live = &c
	}
	for _, c := range ln.later {
		v.Later = append(v.Later, l.viewChange(c))
	}
	slices.SortFunc(v.Later, func(a, b view.ChangeView) int { return a.EffectiveAt.Compare(b.EffectiveAt) })
	v.Coverage, v.Unkept = ln.cover, l.recent.unkept[ln]
	if ln.out != nil {
		v.Storing, v.StoringSince = ln.out.held.load+ln.out.held.dead, ln.out.held.since
	}
	if ln.inFlight != nil {
		v.CallSince = instant(ln.inFlight.try.since)
	}
	return v
}

func (s *schedule) viewChange(c *change) view.ChangeView {
	v := view.ChangeView{
		ID: c.id, Flag: c.flag, EffectiveAt: instant(c.at), ValidUntil: instant(c.until),
		Attempts: c.attempts(), WaitsFor: c.why, Next: s.waitEnds(c),
	}
	if c.try != nil {
		v.Retcode, v.Message, v.Fault = c.try.retcode, c.try.message, c.try.fault
	}
	return v
}

// waitEnds returns when the wait of the change ends; zero: nobody knows.
func (s *schedule) waitEnds(c *change) time.Time {
	switch c.why {
	case view.Instant:
		return instant(c.at)
	case view.Retry:
		return s.fromTicks(c.try.retry)
	case view.Session:
		return s.fromTicks(c.try.sessionNext)
	case view.Hold:
		return s.fromTicks(s.heldUntil(c))
	case view.Debounce:
		return s.fromTicks(c.wakesAfter)
	case view.None, view.Reading, view.SignIn, view.OlderCall, view.OlderEnding, view.Gate, view.Answer, view.Storing, view.Unknown:
	}
	return time.Time{}
}
