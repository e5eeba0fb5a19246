package worker

import (
	"context"
	"sync"
	"time"

	"idlepolicy/worker/gate"
	"idlepolicy/worker/ledger"
)

// loop is one term of the worker: one goroutine that owns the lanes and never waits for NATS or HTTP. Everything
// comes in as an event; calls go out to a pool and results to the journal.
type loop struct {
	*Worker
	ctx    context.Context
	term   *Term
	policy Policy
	mail   *mailbox
	calls  chan job

	schedule
	began    time.Time
	lanes    map[string]*lane
	backlog  *backlog
	batches  *batches
	gate     *gate.Gate
	gateLog  gateLog
	gateMark uint64                  // of what was shared of the gate's knowledge
	gaveUp   map[*lane]ledger.SignIn // for which reapplying was refused
	pipeline pipeline
	coverage coverage
	unkept   map[*lane]string // of those for whom something could not be stored as it was, what
	stopping bool
	speed    speed
	burst    burst
	recent   recent
	ended    chan struct{} // closed when the term is over
}

// Run works until the term ends: ctx is cancelled (the term was lost: everything is dropped where it stands), or
// term.Stop is closed and everything under way has come to its end. It returns once all its goroutines have.
func (w *Worker) Run(ctx context.Context, term *Term) {
	l := w.begin(ctx, term)
	defer w.over(l)
	var pool sync.WaitGroup
	defer pool.Wait()
	defer close(l.calls)
	for range l.policy.MaxInFlight {
		pool.Go(func() { l.caller() })
	}
	select {
	case <-w.Sessions.Ready():
	case <-term.Stop:
		return // nothing was begun
	case <-ctx.Done():
		return
	}
	l.holdReapplies()
	l.wakeReapplies()
	for _, ln := range l.lanes {
		l.cover(ln)
	}
	l.turn()
}

func (w *Worker) begin(ctx context.Context, term *Term) *loop {
	now := time.Now()
	l := &loop{
		Worker: w, ctx: ctx, term: term, policy: w.Policy.withDefaults(), mail: term.Inbox.mail, schedule: newSchedule(newClock(now)), began: now,
		lanes: make(map[string]*lane, len(term.Ledgers)), ended: make(chan struct{}),
		gaveUp: map[*lane]ledger.SignIn{}, unkept: map[*lane]string{},
	}
	l.backlog = &backlog{journal: term.Journal, messages: map[uint64]*message{}, behind: term.Unfinished > 0}
	l.batches = newBatches(l.clock, l.backlog, term, l.mail, w.log())
	l.coverage = newCoverage()
	l.pipeline = pipeline{inbox: term.Inbox, crowded: map[*lane]struct{}{}, moved: now}
	l.calls = make(chan job, l.policy.MaxInFlight)
	l.gate = w.openGate(l.policy, term, now)
	if !term.HoldUntil.IsZero() {
		l.holdUntil = l.ticksAt(term.HoldUntil)
	}
	for agent, known := range term.Ledgers {
		known.Begin(term.Stream.Incarnation)
		l.lanes[agent] = &lane{agent: agent, ledger: known}
	}
	term.Ledgers = nil // the lanes have them
	w.Sessions.follow(func(agent string) { l.mail.push(sessionChanged(agent)) })
	w.mu.Lock()
	w.current = l
	l.control(w.controls)
	w.mu.Unlock()
	l.noteOverride()
	return l
}

func (w *Worker) over(l *loop) {
	close(l.ended)
	w.Sessions.follow(nil)
	w.mu.Lock()
	w.current = nil
	w.mu.Unlock()
}

// wakeReapplies looks at the agents that signed in while no worker was running. Until all that is unfinished was read,
// nobody knows whether a newer change waits.
func (l *loop) wakeReapplies() {
	if l.policy.NoReapply || l.backlog.behind {
		return
	}
	for _, ln := range l.lanes {
		if ln.ledger.InForce == nil {
			continue
		}
		if ln.live == nil {
			l.considerReapply(ln)
			ln.held = ln.held || ln.reapply != nil // the last owner may have called for it
		}
		l.plan(ln)
	}
}

// holdReapplies holds the agents for whom the last owner may have reapplied, before anything newer of them is read. It
// may have seen a sign-in that only it could tell from a rotation, or one that is over.
func (l *loop) holdReapplies() {
	for _, ln := range l.lanes {
		if ln.ledger.InForce == nil {
			continue
		}
		s, ok := l.Sessions.Of(ln.agent)
		untimed := s.SignedInAt.IsZero() && s.Rev != ln.ledger.SignIn.Rev
		ln.held = ln.held || !ok || untimed || s.newSince(ln.ledger.SignIn)
	}
}

// turn is the event loop: take in what happened, do what is due, let out what the gate lets through.
func (l *loop) turn() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	stop := l.term.Stop
	var free []event
	for {
		select {
		case <-l.mail.signal:
		case <-timer.C:
		case <-stop:
			stop = nil
			l.stop()
		case <-l.ctx.Done():
			return
		}
		l.now = time.Now()
		free = l.mail.take(free)
		for _, e := range free {
			e.apply(l)
		}
		l.due()
		l.lookForStuck()
		l.dispatch()
		l.noteGate()
		l.noteBurst()
		if l.stopping && l.gate.InFlight() == 0 && (l.batches.storing == 0 && l.pipeline.results == 0 || l.pipeline.still(l.now)) {
			return
		}
		timer.Reset(l.untilNext())
	}
}

// stop takes no more. The term is over once everything under way has come to its end, or nothing gets any further.
func (l *loop) stop() {
	l.stopping = true
	l.pipeline.moved = l.now
}

// lookForStuck lets reading go on past agents whose results cannot be stored. Once there is room again for changes that were
// left in the stream, the term ends like a clean stop, and the next one reads them.
func (l *loop) lookForStuck() {
	found := l.pipeline.look(l.now)
	if p := &l.pipeline; len(found) > 0 && l.now.Sub(p.warned) >= time.Minute {
		p.warned = l.now
		l.log().Warn("results of an agent get no further; everybody else's go on", "agent", found[0].agent,
			"waiting", found[0].out.waiting(), "agents", len(p.crowded))
	}
	if l.pipeline.reread && !l.stopping {
		l.log().Info("the term ends, so that changes are read that were left in the stream")
		l.stop()
	}
}

// sessionChanged is the event that an agent signed in or out, or has another GUID.
type sessionChanged string

func (s sessionChanged) apply(l *loop) { l.signedIn(string(s)) }
