package worker

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// Worker applies idle-policy changes to the gateway. For each agent it makes one call at a time, and the latest change wins.
// Every change gets exactly one ending. Set the exported fields before the first Run; they must not change afterwards.
type Worker struct {
	Gateway  Gateway
	Sessions *Sessions
	Policy   Policy
	Watch    Observer                             // nil: none
	Trace    Tracer                               // nil: none
	Ignored  func(gatewayURL string) (why string) // returns why a session's gateway_url is not called, empty if it is; nil: all are called
	Address  func(gatewayURL string) string       // returns the address that it leads to, without credentials, empty for the configured gateway; nil: the URL unchanged
	Log      *slog.Logger                         // nil: slog.Default

	mu       sync.Mutex // guards what follows
	controls Controls
	current  *loop      // the term that is running; nil: none
	gate     *gate.Gate // used by the event loop of that term; it outlives the term, and is nil before the first one
}

// Policy has the worker's limits. The zero value of a field means its default.
type Policy struct {
	Rate        float64       // calls per second; 0: no limit
	Burst       float64       // calls at once after a pause; default a tenth of the rate, at least 1
	MaxInFlight int           // calls under way at once; default 32
	Timeout     time.Duration // of one call, and how long the gateway may still act on one that it has not answered; default 5 s
	Backoff     Backoff       // between the attempts of one change
	MaxAttempts int           // answers about one change before it fails; default 8
	Validity    time.Duration // of a change without valid_until; default 12 h
	Retention   time.Duration // of results, and the longest validity of a change; default 720 h
	NoReapply   bool          // do not reapply after a sign-in
	Names       messages.Names
}

// Controls are what operators set while the worker runs.
type Controls struct {
	Paused bool
	Rate   *float64 // overrides Policy.Rate; nil: does not
	// Resumed is when an operator last resumed the calls. A Retry-After from before then no longer holds.
	Resumed time.Time
}

// Journal stores results. Its methods return at once and report the outcome by calling done once, from any goroutine. Only Store
// can fail. The others retry until they succeed or the term ends; after its end, done may never be called. What cannot be
// stored as it is, is stored in a smaller form after a few attempts, and what cannot be stored in any form goes to the log.
// Kept says which of these happened. Package journaltest has the contract as a test.
type Journal interface {
	// Store stores a result if the agent's last one still has the sequence rec.Expect, and passes the new sequence to done.
	// After any error it is unknown whether the result was stored, so the ledger must be read again. The error is
	// ErrConflict if the agent has another last result. The worker never gives up on a result.
	Store(rec Record, done func(seq uint64, kept Kept, err error))
	// Reload reads an agent's ledger from the stream's leader, where it cannot be stale.
	Reload(agent string, done func(ledger.Ledger))
	// Bury makes sure that the change has exactly one dead letter. It reads the message's bytes back from the stream.
	Bury(letter DeadLetter, done func(Kept))
	// Count counts the endings of a batch in the results. If the batch is new and over several messages, Count opens it.
	Count(q BatchQuery, done func(BatchCount))
	// Summarise stores the summary of a batch unless that was done before.
	Summarise(q BatchQuery, s messages.BatchSummary, done func())
	// Progress stores a progress report of a batch, or gives up after one attempt. The batch's summary waits for it.
	Progress(q BatchQuery, p messages.BatchProgress, done func())
	// Ack removes a message whose changes have all ended from the stream of changes. Nothing depends on its success: a message
	// that comes again is recognised.
	Ack(d Receipt)
}

// ErrConflict is reported by [Journal.Store] if the agent's last result is not the expected one.
var ErrConflict = errors.New("the agent has another last result than expected")

// Kept says in what form a Journal has stored something.
type Kept uint8

// What a Journal can make of something.
const (
	KeptWhole Kept = iota // stored as it is
	KeptCut               // stored in a smaller form, and marked
	KeptNot               // not stored, but logged
)

// Record is a result on its way to its stream.
type Record struct {
	Result      messages.Result
	Ledger      []byte // the agent's ledger as of this result
	Expect      uint64 // sequence of the agent's last result
	Pos         ledger.Position
	Batch       BatchKey // zero: none
	TraceParent string
	TraceState  string
	Failed      int // failed attempts to store this result, except conflicts
}

// DeadLetter names a change that failed or was rejected.
type DeadLetter struct {
	Pos    ledger.Position
	Agent  string
	Whole  bool             // the message had only this change, or none that could be read
	Unread bool             // the message was not read in this term, so Whole is unknown; if it is gone, its letter was made before
	Result *messages.Result // nil: the Journal reads it at Seq
	Seq    uint64           // of the result
}

// Receipt has what is needed to acknowledge a message.
type Receipt struct {
	Seq    uint64 // in the stream of changes
	Stored int64  // Unix nanoseconds
	Token  [2]uint64
}

// Delivery is one message of the stream of changes.
type Delivery struct {
	Receipt
	MsgID       string // its Nats-Msg-Id; empty: none
	TraceParent string
	TraceState  string
	Pending     uint64 // later messages that had not been delivered yet
	Message     messages.Message
}

// Term is one period in which this process owns the site. It begins when the server pins this client, and ends with the pin, the connection or the
// process. The worker calls the gateway only during a term.
type Term struct {
	Journal    Journal
	Inbox      *Inbox
	Stream     ledger.Stream
	LastSeq    uint64                    // last sequence of that stream as the term began
	Unfinished uint64                    // messages in it as the term began
	Ledgers    map[string]*ledger.Ledger // of all agents that have results; the worker keeps them
	HoldUntil  time.Time                 // agents with unfinished changes wait until then; zero after a predecessor's clean stop
	HoldAll    bool                      // all agents wait, because the predecessor was still in its own hold
	Stop       <-chan struct{}           // closed: read no more, finish calls, store endings
	Gateway    gate.Snapshot             // what the last owner knew about the gateway's trouble
	Share      func(gate.Snapshot)       // stores the same for the next owner and returns at once; nil: do not
}

// Observer counts events for metrics. Its methods are called from the event loop and must return at once.
type Observer interface {
	Ended(r *messages.Result)
	Called(a *Answer)
	Gate(state view.GateState)
	Conflict()
}

// SetControls replaces the operators' settings. It may be called at any time from any goroutine.
func (w *Worker) SetControls(c Controls) {
	w.mu.Lock()
	w.controls = c
	l := w.current
	w.mu.Unlock()
	if l != nil {
		l.mail.push(controlled{c})
	}
}

func (w *Worker) log() *slog.Logger {
	if w.Log == nil {
		return slog.Default()
	}
	return w.Log
}

// defaultBurst returns the burst of a rate for which none is set.
func defaultBurst(rate float64) float64 { return max(1, rate/10) }

func (p Policy) withDefaults() Policy {
	if p.Burst == 0 {
		p.Burst = defaultBurst(p.Rate)
	}
	if p.MaxInFlight == 0 {
		p.MaxInFlight = 32
	}
	if p.Timeout == 0 {
		p.Timeout = 5 * time.Second
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 8
	}
	if p.Validity == 0 {
		p.Validity = 12 * time.Hour
	}
	if p.Retention == 0 {
		p.Retention = 720 * time.Hour
	}
	p.Backoff = p.Backoff.withDefaults()
	return p
}
