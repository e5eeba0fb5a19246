package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"idlepolicy/messages"
)

// View is what the worker can say of itself at one moment.
type View struct {
	At          time.Time   `json:"at"`
	Gate        GateState   `json:"gate"`
	Agents      int         `json:"agents"`        // that results or changes tell of
	Unfinished  int         `json:"unfinished"`    // messages that are not acknowledged, as far as they were read
	Due         int         `json:"due"`           // changes ready for a call
	InFlight    int         `json:"in_flight"`     // calls under way
	Later       int         `json:"later"`         // changes that wait for their effective_at
	NotSignedIn int         `json:"not_signed_in"` // changes that wait for their agent's sign-in
	Retrying    int         `json:"retrying"`      // changes that pause before another attempt
	Storing     int         `json:"storing"`       // results that are not stored yet
	Batches     []BatchView `json:"batches"`       // the first maxBatches, the longest under way first
	MoreBatches int         `json:"more_batches"`  // that are under way too
	Estimate    Estimate    `json:"estimate"`

	Since     time.Time `json:"since"`               // this worker has been the owner
	Called    uint64    `json:"called"`              // calls since then that the gateway or a fault answered
	Ended     uint64    `json:"ended"`               // changes that ended since then
	Oldest    time.Time `json:"oldest,omitzero"`     // when the stream stored the oldest message that is not acknowledged
	OldestDue time.Time `json:"oldest_due,omitzero"` // when the oldest change that is ready for a call took effect

	Waits   []Wait            `json:"waits"`   // the first maxWaits, those that the gateway's answers caused first
	Last    []messages.Result `json:"last"`    // the newest first
	Trouble []messages.Result `json:"trouble"` // of the last failed, expired and rejected ones, the newest first
}

// maxBatches is how many batches a view tells of.
const maxBatches = 100

// BatchView is a batch that is under way.
type BatchView struct {
	ID       string                `json:"batch_id"`
	Progress messages.BatchSummary `json:"progress"`
}

// AgentView is all that the worker knows of one agent. It has no GUID.
type AgentView struct {
	AgentID   string           `json:"agent_id"`
	SignedIn  bool             `json:"signed_in"`
	SignedAt  time.Time        `json:"signed_in_at,omitzero"`
	Trouble   string           `json:"session_trouble,omitempty"`     // why the record in the registry cannot be used
	Ignored   string           `json:"gateway_url_ignored,omitempty"` // why its calls go to the configured gateway all the same
	InForce   *messages.Result `json:"in_force,omitempty"`
	Live      *ChangeView      `json:"live,omitempty"`
	Later     []ChangeView     `json:"later,omitempty"`
	CallSince time.Time        `json:"call_since,omitzero"` // a call is under way
}

// ChangeView is a change that has not ended.
type ChangeView struct {
	ID          string    `json:"change_id"`
	Flag        string    `json:"flag"`
	EffectiveAt time.Time `json:"effective_at"`
	ValidUntil  time.Time `json:"valid_until"`
	Attempts    int       `json:"attempts"`
	WaitsFor    string    `json:"waits_for"` // instant, sign-in, retry, hold, gate, answer, an older ending, a pause in newer changes
	Next        time.Time `json:"next_attempt_at,omitzero"`
	Retcode     string    `json:"retcode,omitempty"`
	Message     string    `json:"message,omitempty"`
	Fault       string    `json:"fault,omitempty"` // what kept the last call from a proper answer, in words; empty: nothing
}

// View asks the running term; ok is false while this process is not the owner.
func (w *Worker) View(ctx context.Context) (v View, ok bool) {
	var answer View // written later still where the asker goes away
	if !w.ask(ctx, func(l *loop) { answer = l.view() }) {
		return View{}, false
	}
	return answer, true
}

// Agent asks the running term about one agent; ok is false while this process is not the owner.
func (w *Worker) Agent(ctx context.Context, agent string) (v AgentView, ok bool) {
	var answer AgentView
	if !w.ask(ctx, func(l *loop) { answer = l.agentView(agent) }) {
		return AgentView{}, false
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
	case <-l.ended:
	case <-ctx.Done():
	}
	return false
}

func (l *loop) view() View {
	v := View{
		At: l.now, Gate: l.gate.state(l.now), Agents: len(l.lanes), Unfinished: len(l.msgs), Due: len(l.ready),
		InFlight: l.gate.inFlight, Storing: l.entries, Estimate: l.estimate(),
		Since: l.began, Called: l.speed.all, Ended: l.recent.ended, Oldest: l.oldest(), OldestDue: l.oldestDue(),
		Last: l.recent.all.newest(), Trouble: l.recent.trouble.newest(),
	}
	l.viewLanes(&v)
	l.viewBatches(&v)
	return v
}

func (l *loop) viewLanes(v *View) {
	var w queue
	for _, ln := range l.lanes {
		v.Later += len(ln.later)
		why := l.waitsFor(ln)
		switch why {
		case "sign-in":
			v.NotSignedIn++
		case "retry":
			v.Retrying++
		}
		if why != "" {
			w.add(ln, ln.live, why)
		}
		for _, c := range ln.later {
			w.add(ln, c, "instant")
		}
	}
	v.Waits = w.views(l)
}

func (l *loop) viewBatches(v *View) {
	v.Batches = make([]BatchView, 0, len(l.batches))
	for _, b := range l.batches {
		if len(b.rounds) > 0 {
			v.Batches = append(v.Batches, BatchView{b.key.ID, b.rounds[0].sofar()})
		}
	}
	slices.SortFunc(v.Batches, func(a, b BatchView) int {
		return cmp.Or(a.Progress.StartedAt.Compare(b.Progress.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	if more := len(v.Batches) - maxBatches; more > 0 {
		v.Batches, v.MoreBatches = v.Batches[:maxBatches], more
	}
}

// oldest looks at all messages only when the one it found last is finished: hundreds of thousands can wait for hours.
func (l *loop) oldest() time.Time {
	m := l.msgs[l.oldestSeq]
	if m == nil {
		for seq, other := range l.msgs {
			if m == nil || seq < l.oldestSeq {
				m, l.oldestSeq = other, seq
			}
		}
	}
	if m == nil {
		return time.Time{}
	}
	return instant(m.receipt.Stored)
}

func (l *loop) oldestDue() time.Time {
	var at int64
	for _, c := range l.ready {
		if at == 0 || c.at < at {
			at = c.at
		}
	}
	return instant(at)
}

// waitsFor says what the live change of a lane waits for; empty: there is none.
func (l *loop) waitsFor(ln *lane) string {
	c, now := ln.live, l.now.UnixNano()
	if c == nil {
		return ""
	}
	session, signedIn := l.Sessions.Of(ln.agent)
	switch {
	case ln.inFlight == c:
		return "answer"
	case ln.unsettled():
		return "an older ending"
	case !signedIn || c.refusedIn(session):
		return "sign-in"
	case l.holds(ln):
		return "hold"
	case c.try != nil && c.try.retry > now:
		return "retry"
	case l.flurries[ln].lasts(now):
		return "a pause in newer changes"
	default:
		return "gate"
	}
}

func (l *loop) agentView(agent string) AgentView {
	v := AgentView{AgentID: agent}
	if s, ok := l.Sessions.Of(agent); ok {
		v.SignedIn, v.SignedAt = true, s.SignedInAt
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
		c := ln.live.view(l.waitsFor(ln))
		if c.WaitsFor == "hold" {
			c.Next = instant(l.holdUntil)
		}
		v.Live = &c
	}
	for _, c := range ln.later {
		v.Later = append(v.Later, c.view("instant"))
	}
	slices.SortFunc(v.Later, func(a, b ChangeView) int { return a.EffectiveAt.Compare(b.EffectiveAt) })
	if ln.inFlight != nil {
		v.CallSince = instant(ln.inFlight.try.since)
	}
	return v
}

func (c *change) view(waitsFor string) ChangeView {
	v := ChangeView{
		ID: c.id, Flag: c.flag, EffectiveAt: instant(c.at), ValidUntil: instant(c.until),
		Attempts: c.attempts(), WaitsFor: waitsFor,
	}
	if waitsFor == "instant" {
		v.Next = v.EffectiveAt
	}
	if c.try != nil {
		v.Retcode, v.Message, v.Fault = c.try.retcode, c.try.message, c.try.fault
		if waitsFor == "retry" {
			v.Next = instant(c.try.retry)
		}
	}
	return v
}
