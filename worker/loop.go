package worker

import (
	"context"
	"sync"
	"time"

	"idlepolicy/worker/gate"
)

// loop is one term of the worker: one goroutine that owns the lanes and never waits for NATS or HTTP. Everything comes in as an
// event; calls go out to a pool and results to the Journal. Only the event loop reads and writes what is not marked otherwise.
type loop struct {
	*Worker                 // set once
	ctx     context.Context // set once; it ends when the term is lost
	term    *Term           // set once
	policy  Policy          // set once, with defaults
	mail    *mailbox        // anybody may push events
	calls   chan job        // to the pool of callers

	schedule             // what each lane waits for, and the clock
	stopping  bool       // set by stop: no more changes are read, no more calls made
	lanes     lanes      // by agent; never removed
	backlog   *backlog   // the messages that were read and are unfinished
	batches   *batches   // of those messages
	pipeline  pipeline   // the results that are not stored
	letters   letters    // makes dead letters
	gate      *gate.Gate // the worker's, which outlives the term
	coverage  coverage   // updated with each lane
	gateWatch gateWatch  // reports what the gate does, after each turn
	forecast  forecast   // when everything will have been called
	wave      wave       // reported after each turn
	recent    recent     // written as results are stored
}

// Run works until the term ends. If ctx is cancelled, the term was lost and everything is dropped at once. If term.Stop is
// closed, Run first finishes the calls and results that are under way. It returns after all its goroutines have.
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
		l.coverage.update(ln)
	}
	l.turn()
}

func (w *Worker) begin(ctx context.Context, term *Term) *loop {
	now := time.Now()
	l := &loop{
		Worker: w, ctx: ctx, term: term, policy: w.Policy.withDefaults(), mail: term.Inbox.mail, schedule: newSchedule(newClock(now)),
		lanes: make(lanes, len(term.Ledgers)),
	}
	l.backlog = &backlog{journal: term.Journal, messages: map[uint64]*message{}, behind: term.Unfinished > 0}
	l.batches = newBatches(l.clock, l.backlog, term, l.mail, w.log())
	l.coverage = newCoverage(l.clock, w.Sessions)
	l.letters = letters{term, l.mail, l.backlog}
	l.recent.unkept = map[*lane]string{}
	l.pipeline = pipeline{inbox: term.Inbox, crowded: map[*lane]struct{}{}, moved: now}
	l.calls = make(chan job, l.policy.MaxInFlight)
	l.gate = w.openGate(l.policy, term, now)
	l.gateWatch = gateWatch{gate: l.gate, term: term, observer: w.Watch, log: w.log(), maxInFlight: l.policy.MaxInFlight}
	l.forecast = forecast{clock: l.clock, ready: &l.ready, gate: l.gate}
	if !term.HoldUntil.IsZero() {
		l.holdUntil, l.holdAll = l.ticksAt(term.HoldUntil), term.HoldAll
	}
	for agent, known := range term.Ledgers {
		known.Begin(term.Stream.Incarnation)
		ln := &lane{agent: agent, ledger: known}
		l.lanes[agent] = ln
		if left := known.Landing - now.UnixNano(); left > 0 {
			l.doubts.note(ln, "", l.pauseFor(min(l.policy.Timeout, time.Duration(left))))
		}
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
	close(l.mail.closed)
	w.Sessions.follow(nil)
	w.mu.Lock()
	w.current = nil
	w.mu.Unlock()
}

// turn runs the event loop: it applies the events that came in, does what is due, and makes the calls that the gate allows.
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
		l.gateWatch.report(l.now)
		l.wave.report(&l.forecast, l.log())
		if l.stopping && l.gate.InFlight() == 0 && l.doubts.last(l.ticks()) <= l.ticks() && (l.batches.storing == 0 && l.pipeline.results == 0 || l.pipeline.still(l.now)) {
			return
		}
		timer.Reset(l.untilNext())
	}
}

// stop begins a clean stop. The term ends once all calls and results under way are finished, or make no more progress.
func (l *loop) stop() {
	l.stopping = true
	l.pipeline.moved = l.now
}

// lookForStuck keeps agents whose results cannot be stored from blocking all others. Once there is room again for changes that
// were left in the stream, it stops the term, so that the next one reads them.
func (l *loop) lookForStuck() {
	found := l.pipeline.look(l.now)
	if p := &l.pipeline; len(found) > 0 && l.now.Sub(p.warned) >= time.Minute {
		p.warned = l.now
		l.log().Warn("results of an agent are stuck; those of all others are stored", "agent", found[0].agent,
			"waiting", found[0].out.waiting(), "agents", len(p.crowded))
	}
	if l.pipeline.reread && !l.stopping {
		l.log().Info("the term ends, so that the next one reads changes that were left in the stream")
		l.stop()
	}
}

// sessionChanged is the event that an agent signed in or out, or has another GUID.
type sessionChanged string

func (s sessionChanged) apply(l *loop) { l.signedIn(string(s)) }
