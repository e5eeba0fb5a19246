package worker

import (
	"container/heap"
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"idlepolicy/messages"
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

	now     time.Time
	began   time.Time
	lanes   map[string]*lane
	msgs    map[uint64]*message
	batches map[BatchKey]*batch
	gate    gate
	ready   readyHeap
	timers  timerHeap

	gateAgain time.Time // when to ask the gate again; zero: an event will say so
	gateWas   string
	gateSince time.Time
	holdUntil int64
	flood     int64 // some agents wait for a pause in their changes until then, in Unix nanoseconds
	behind    bool  // messages from before the term may still be unread
	unread    uint64
	overdue   []*change
	entries   int       // results that are not stored
	closings  int       // summaries that are not stored
	toldAt    time.Time // when the progress of batches was told last
	stopping  bool
	speed     speed
	burst     burst
	recent    recent
	oldestSeq uint64        // of the oldest message, as of the last view
	ended     chan struct{} // closed when the term is over
}

// job is a call on its way to the gateway.
type job struct {
	change  *change
	call    Call
	session Session
	sent    time.Time
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
	l.wakeReapplies()
	l.turn()
}

func (w *Worker) begin(ctx context.Context, term *Term) *loop {
	now := time.Now()
	l := &loop{
		Worker: w, ctx: ctx, term: term, policy: w.Policy.withDefaults(), mail: term.Inbox.mail, now: now, began: now,
		lanes: make(map[string]*lane, len(term.Ledgers)), msgs: map[uint64]*message{}, batches: map[BatchKey]*batch{}, ended: make(chan struct{}),
		behind: term.Unfinished > 0, unread: term.Unfinished,
	}
	l.calls = make(chan job, l.policy.MaxInFlight)
	l.gate = newGate(l.policy, now)
	if !term.HoldUntil.IsZero() {
		l.holdUntil = term.HoldUntil.UnixNano()
	}
	for agent, ledger := range term.Ledgers {
		ledger.begin(term.Epoch)
		l.lanes[agent] = &lane{agent: agent, ledger: ledger, newest: ledger.Newest}
	}
	term.Ledgers = nil // the lanes have them
	w.Sessions.follow(func(agent string) { l.mail.push(sessionChanged(agent)) })
	w.mu.Lock()
	w.current = l
	l.control(w.controls)
	w.mu.Unlock()
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
	if l.policy.NoReapply || l.behind {
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
			l.stopping = true
		case <-l.ctx.Done():
			return
		}
		l.now = time.Now()
		free = l.mail.take(free)
		for _, e := range free {
			e.apply(l)
		}
		l.due()
		l.dispatch()
		l.noteGate()
		l.noteBurst()
		if l.stopping && l.gate.inFlight == 0 && l.entries == 0 && l.closings == 0 {
			return
		}
		timer.Reset(l.untilNext())
	}
}

// due wakes the changes whose time has come.
func (l *loop) due() {
	now := l.now.UnixNano()
	for len(l.timers) > 0 && l.timers[0].wake <= now {
		l.wakeUp(heap.Pop(&l.timers).(*change))
	}
	l.tellProgress()
}

// dispatch sends the most urgent changes on as long as the gate lets them through.
func (l *loop) dispatch() {
	l.gateAgain = time.Time{}
	for len(l.ready) > 0 && !l.stopping {
		c := l.ready[0]
		session, signedIn := l.Sessions.Of(c.lane.agent)
		if !signedIn {
			l.plan(c.lane) // the agent signed out this very moment
			continue
		}
		ok, again := l.gate.ask(l.now)
		if !ok {
			l.gateAgain = again
			return
		}
		l.call(c, session)
	}
	l.gate.holding = "" // nothing waits
}

// call sends a change to the gateway with the agent's session as of now.
func (l *loop) call(c *change, session Session) {
	ln := c.lane
	ln.inFlight, ln.since = c, l.now.UnixNano()
	l.unschedule(c)
	c.rev = 0
	j := job{change: c, session: session, sent: l.now, call: Call{AgentID: ln.agent, Flag: c.flag, Session: session.Session}}
	if c.msg != nil && c.msg.trace != nil {
		j.call.TraceParent, j.call.TraceState = c.msg.trace.parent, c.msg.trace.state
	}
	l.calls <- j // never blocks: the gate lets no more through than the channel holds
}

// caller makes calls until there are none left to make.
func (l *loop) caller() {
	for j := range l.calls {
		l.mail.push(answered{j, l.Gateway.Set(l.ctx, j.call)})
	}
}

func (l *loop) untilNext() time.Duration {
	next := l.now.Add(time.Hour)
	if len(l.timers) > 0 {
		next = earlier(next, time.Unix(0, l.timers[0].wake))
	}
	if !l.gateAgain.IsZero() {
		next = earlier(next, l.gateAgain)
	}
	if at := l.burst.next(); !at.IsZero() {
		next = earlier(next, at)
	}
	if len(l.batches) > 0 {
		next = earlier(next, l.toldAt.Add(progressEvery))
	}
	return max(0, next.Sub(l.now))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// noteGate says once when what holds calls back changes.
func (l *loop) noteGate() {
	if l.gate.outOfReach() {
		l.log().Warn("the rate cannot be reached: too few calls may be under way for the time that each takes",
			"rate", l.gate.rate, "reach", math.Round(l.gate.reach()), "in_flight", l.gate.maxInFlight, "latency", l.gate.latency)
	}
	s := l.gate.state(l.now)
	if l.Watch != nil {
		l.Watch.Gate(s)
	}
	if s.State == l.gateWas {
		return
	}
	was, since := l.gateWas, l.gateSince
	l.gateWas, l.gateSince = s.State, l.now
	switch {
	case was == "":
	case s.State == "open":
		l.log().Info("the gate is open again", "was", was, "after", l.now.Sub(since).Round(time.Millisecond))
	default:
		log := l.log()
		if !s.Until.IsZero() {
			log = log.With("until", s.Until)
		}
		log.Warn("the gate holds calls back", "state", s.State, "why", s.Why)
	}
}

// setTimer sets the change's timer; setReady puts it among the ready ones or takes it out.
func (l *loop) setTimer(c *change, wake int64) {
	switch {
	case c.timer == 0:
		c.wake = wake
		heap.Push(&l.timers, c)
	case c.wake != wake:
		c.wake = wake
		heap.Fix(&l.timers, int(c.timer-1))
	}
}

func (l *loop) setReady(c *change, ready bool) {
	switch {
	case ready && c.ready == 0:
		heap.Push(&l.ready, c)
	case !ready && c.ready != 0:
		heap.Remove(&l.ready, int(c.ready-1))
	}
}

func (l *loop) unschedule(c *change) {
	if c.timer != 0 {
		heap.Remove(&l.timers, int(c.timer-1))
	}
	l.setReady(c, false)
}

// The events, in the order in which a change meets them.

type delivered []Delivery

func (ds delivered) apply(l *loop) {
	items := 0
	for i := range ds {
		items += ds[i].Message.Items
		if !l.stopping {
			l.admit(&ds[i])
		}
	}
	l.term.Inbox.add(-items)
}

// admit takes a message into the lanes, item by item in their order.
func (l *loop) admit(d *Delivery) {
	defer l.arrived(d)
	if m := l.msgs[d.Seq]; m != nil {
		m.receipt = d.Receipt // it came again while its changes are in the lanes
		return
	}
	m := &message{receipt: d.Receipt, hash: HashID(d.MsgID), open: 1, items: d.Message.Items}
	if d.TraceParent != "" {
		m.trace = &trace{d.TraceParent, d.TraceState}
	}
	l.msgs[d.Seq] = m
	changes, rejected := d.Message.Changes, d.Message.Rejected
	for len(changes)+len(rejected) > 0 {
		if len(rejected) == 0 || (len(changes) > 0 && changes[0].Index < rejected[0].Index) {
			l.admitOne(m, &changes[0])
			changes = changes[1:]
		} else {
			l.reject(m, &rejected[0])
			rejected = rejected[1:]
		}
	}
	for _, b := range m.batches {
		b.admitted = true
		l.count(b)
		l.closeIfComplete(b)
	}
	l.release(m)
}

func (l *loop) admitOne(m *message, mc *messages.Change) {
	if mc.Cancel {
		l.cancel(m, mc)
	} else {
		l.enter(m, mc)
	}
}

// reject ends an item that cannot be used.
func (l *loop) reject(m *message, r *messages.Rejection) {
	c := &change{
		lane: l.lane(r.AgentID), msg: m, id: r.ID, flag: r.Flag, reason: r.Reason, source: r.Source,
		index: int32(r.Index), batch: l.batchOf(m, r.BatchID, r.BatchTotal),
	}
	m.open++
	if !l.knownBefore(c) {
		l.withdraw(c, messages.Rejected, r.Message, "")
	}
}

// arrived notes when everything that was unfinished as the term began has been read.
func (l *loop) arrived(d *Delivery) {
	if !l.behind {
		return
	}
	if l.unread--; l.unread == 0 || d.Seq >= l.term.LastSeq || d.Pending == 0 {
		l.caughtUp()
	}
}

type sessionChanged string

func (s sessionChanged) apply(l *loop) { l.signedIn(string(s)) }

type answered struct {
	job
	Answer
}

func (a answered) apply(l *loop) {
	c := a.change
	ln := c.lane
	ln.inFlight = nil
	if l.Watch != nil {
		l.Watch.Called(&a.Answer)
	}
	if a.Class == NotSent {
		l.gate.notSent(a.Fault, a.sent, l.now)
	} else {
		l.gate.tell(ln.agent, a.Answer, a.sent, l.now)
		l.speed.add(l.now)
	}
	l.remember(c, &a)
	switch {
	case !c.again() && l.hasEnded(&ln.ledger, c):
		l.forget(c) // another owner's ending was found meanwhile
		l.store(ln)
	case !c.again(), !c.ended, a.Class == Success:
		l.judge(c, &a)
	}
	l.plan(ln)
}

type controlled struct{ Controls }

func (c controlled) apply(l *loop) { l.control(c.Controls) }

func (l *loop) control(c Controls) {
	l.gate.paused = c.Paused
	rate, burst := l.policy.Rate, l.policy.Burst
	if c.Rate != nil && *c.Rate != rate {
		rate = *c.Rate
		burst = max(1, rate/10)
	}
	if rate != l.gate.rate {
		l.log().Log(l.ctx, slog.LevelInfo, "rate of calls to the gateway changed", "rate", rate, "burst", burst)
		l.gate.setRate(rate, burst, l.now)
	}
}
