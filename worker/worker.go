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

// Worker applies idle-policy changes to the gateway, one at a time for each agent, the latest wins, and brings every
// change to exactly one ending. It is in memory and time only: what it reads and writes comes through the few small
// interfaces here. Set the exported fields before the first Run; they must not change afterwards.
type Worker struct {
	Gateway  Gateway
	Sessions *Sessions
	Policy   Policy
	Watch    Observer                             // nil: nobody watches
	Trace    Tracer                               // nil: nobody traces
	Ignored  func(gatewayURL string) (why string) // why a session's gateway_url is not called; nil: each one is
	Address  func(gatewayURL string) string       // where calls to it go, without credentials; empty: to the configured gateway; nil: there
	Log      *slog.Logger                         // nil: slog.Default

	mu       sync.Mutex // guards what follows
	controls Controls
	current  *loop      // the term that runs; nil: none
	gate     *gate.Gate // used from the term that runs; nil: there was none. What it knows outlives a term
}

// Policy are the rules by which the worker goes on. The zero value of a field means its default.
type Policy struct {
	Rate        float64       // calls per second; 0: no limit
	Burst       float64       // calls at once after a pause; 0: a tenth of the rate, at least 1
	MaxInFlight int           // calls under way at once; default 32
	Backoff     Backoff       // between the attempts of one change
	MaxAttempts int           // answers about one change before it fails; default 8
	Validity    time.Duration // of a change that names no end; default 12 h
	Retention   time.Duration // of results: no change stays in force longer; default 720 h
	NoReapply   bool          // do not reapply after a sign-in
	Names       messages.Names
}

// Controls are what operators set while the worker runs.
type Controls struct {
	Paused bool
	Rate   *float64 // overrides Policy.Rate; nil: does not
	// An operator resumed last then: a Retry-After from before no longer holds.
	Resumed time.Time
}

// Journal is where endings are made to last. Its methods return at once and report the outcome through done, once, from
// any goroutine. Only Store can fail; the others try until they succeed, or until the term ends, after which done may
// never be called. Nothing is tried for ever: what cannot be stored as it is, is stored in a smaller form after a few
// attempts, and what cannot be stored in any form goes to the log. Kept says which of these it was.
type Journal interface {
	// Store stores a result if the agent's last one still has the sequence rec.Expect, and passes its own sequence
	// on. After any error nobody knows whether it was stored: the ledger must be read again. If the agent has another
	// last result, the error is ErrConflict. A result is never given up.
	Store(rec Record, done func(seq uint64, kept Kept, err error))
	// Reload reads an agent's ledger from where it cannot be stale.
	Reload(agent string, done func(ledger.Ledger))
	// Bury makes sure that the change has exactly one dead letter, whose text is read back from the stream.
	Bury(letter DeadLetter, done func(Kept))
	// Count counts the endings that results tell of a batch, and opens the batch if it is new and over several
	// messages.
	Count(q BatchQuery, done func(BatchCount))
	// Summarise stores the summary of a batch unless that was done before.
	Summarise(q BatchQuery, s messages.BatchSummary, done func())
	// Progress stores how far a batch is, or gives up after one attempt. The batch's summary waits for it.
	Progress(q BatchQuery, p messages.BatchProgress, done func())
	// Ack takes a message whose changes have all ended out of the stream of changes. Nobody waits for it: a message
	// that comes again is recognised.
	Ack(d Receipt)
}

// ErrConflict is passed on by [Journal.Store] if the agent's last result is not the one that was expected.
var ErrConflict = errors.New("the agent has another last result than expected")

// Kept says in what form a Journal has stored something.
type Kept uint8

// The forms.
const (
	KeptWhole Kept = iota // as it is
	KeptCut               // in a smaller form, marked as such
	KeptNot               // not at all: the log has it
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
	Failed      int // attempts to store this result that have failed, conflicts apart
}

// DeadLetter names a change that failed or was rejected.
type DeadLetter struct {
	Pos    ledger.Position
	Agent  string
	Whole  bool             // the message had this one change only, or none that could be read
	Unread bool             // the message was not read in this term: Whole is not known, and where it is gone the letter was made
	Result *messages.Result // nil: it is to be read from Seq of the results
	Seq    uint64
}

// Receipt is what it takes to acknowledge a message.
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
	Pending     uint64 // messages behind it that were not delivered yet
	Message     messages.Message
}

// Term is one time of owning the site: from being picked by the server until the connection, the pick or the process
// ends. Only during it does the worker call the gateway.
type Term struct {
	Journal    Journal
	Inbox      *Inbox
	Stream     ledger.Stream
	LastSeq    uint64                   // of that stream as the term began: what is behind it is new
	Unfinished uint64                   // messages in it as the term began
	Ledgers    map[string]ledger.Ledger // of all agents that results tell of
	HoldUntil  time.Time                // agents with unfinished changes wait for it; zero after a predecessor's clean stop
	HoldAll    bool                     // all agents do: the predecessor was waiting itself, and may have ended what was called for before
	Stop       <-chan struct{}          // closed: take no more, finish calls, store endings
	Gateway    gate.Snapshot            // what the last owner knew of the gateway's trouble
	Share      func(gate.Snapshot)      // stores the same for the next owner and returns at once; nil: nobody wants it
}

// Observer is told what happens, for metrics. Its methods are called from the event loop and must return at once.
type Observer interface {
	Ended(r *messages.Result)
	Called(a *Answer)
	Gate(state view.GateState)
	Conflict()
}

// SetControls replaces what operators set. It may be called at any time from anywhere.
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

// defaultBurst returns how many calls may go out at once if nobody has said: a tenth of the rate.
func defaultBurst(rate float64) float64 { return max(1, rate/10) }

func (p Policy) withDefaults() Policy {
	if p.Burst == 0 {
		p.Burst = defaultBurst(p.Rate)
	}
	if p.MaxInFlight == 0 {
		p.MaxInFlight = 32
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
