package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// journal is the worker's Journal in NATS, for one term. Results and acknowledgements are pipelined and go out in the order in which
// they came. Everything else is rare, and is retried until it succeeds or the term ends.
type journal struct {
	conn   *nats.Conn
	js     jetstream.JetStream // for requests
	async  jetstream.JetStream // for results
	layout Layout
	names  messages.Names
	inbox  *inbox
	log    *slog.Logger
	met    *troubles
	ended  func() error // nil while the term lasts
	ill    atomic.Int64 // when an answer to a result was neither yes nor a conflict, in Unix nanoseconds; 0: not lately

	reads, letters, counts, summaries *retries
	progress                          *retries // not retried

	partsMu sync.Mutex      // guards what follows
	parts   *messages.Parts // of the message that letters were taken from last
	partsOf *original

	mu      sync.Mutex // guards what follows
	out     []outgoing
	sending bool // some of what was in out is on its way to the connection
	pending map[*nats.Msg]outgoing
	settled chan struct{} // holds one token after a result was stored or refused
	signal  chan struct{} // holds one token while out may hold something
	asked   []*counting   // batches that are to be counted
	buried  *original     // the last message of changes that was read back for a dead letter
}

// outgoing is a result to publish or a message to acknowledge.
type outgoing struct {
	rec  worker.Record
	done func(uint64, worker.Kept, error)
	ack  worker.Receipt // where done is nil
	cut  bool           // the result was refused because of its content; it is sent again without the optional parts
}

// Headers of results that only the worker reads.
const (
	ledgerHeader = "Idle-Ledger"
	batchHeader  = "Idle-Batch"        // the batch whose change ended
	storedHeader = "Idle-Batch-Stored" // when the stream stored that one's message, in Unix nanoseconds
)

const (
	keepRoom     = 256             // for what is handed over while other results are on their way
	asyncPending = 16384           // results on their way: the library gives up on more than it may have after a moment
	asyncWait    = 8 * time.Second // a leader that was killed is replaced after 4 to 6 s
	illFor       = time.Second     // after the last result that was not stored, while others were
)

func newJournal(ctx context.Context, o *Owner, box *inbox) (*journal, error) {
	j := &journal{
		conn: o.Conn, js: o.js, layout: o.Layout, names: o.Layout.Names, inbox: box, log: o.Log, met: &o.troubles, ended: ctx.Err,
		pending: map[*nats.Msg]outgoing{},
		settled: make(chan struct{}, 1), signal: make(chan struct{}, 1),
	}
	j.reads = newRetries("cannot read the ledger of an agent", j.met, j.mend)
	j.letters = newRetries("cannot store a dead letter", j.met, j.mend)
	j.counts = newRetries("cannot count a batch", j.met, j.mend)
	j.summaries = newRetries("cannot store the summary of a batch", j.met, j.mend)
	j.progress = newRetries("cannot store the progress of a batch", j.met, j.mend)
	async, err := OpenJetStream(o.Conn, jetstream.WithPublishAsyncMaxPending(2*asyncPending), jetstream.WithPublishAsyncTimeout(asyncWait),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, a *jetstream.PubAck) { j.acked(m, a) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { j.settle(m, 0, err) }))
	if err != nil {
		return nil, err
	}
	j.async = async
	return j, nil
}

// run sends results and acknowledgements until the term ends.
func (j *journal) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer j.async.CleanupPublisher()
	wg.Go(func() { j.reads.run(ctx, 4) })
	wg.Go(func() { j.letters.run(ctx, 4) })
	wg.Go(func() { j.counts.run(ctx, 2) })
	wg.Go(func() { j.summaries.run(ctx, 2) })
	wg.Go(func() { j.progress.run(ctx, 1) })
	var free []outgoing
	for {
		select {
		case <-j.signal:
		case <-ctx.Done():
			return
		}
		j.mu.Lock()
		batch := j.out
		j.out, j.sending = free[:0], true
		j.mu.Unlock()
		for i := range batch {
			j.sendOne(ctx, &batch[i])
		}
		clear(batch)
		free = nil
		if cap(batch) <= keepRoom { // the memory of a wave is not kept
			free = batch
		}
		j.mu.Lock()
		j.sending = false
		j.mu.Unlock()
	}
}

func (j *journal) enqueue(o outgoing) {
	j.mu.Lock()
	j.out = append(j.out, o)
	j.mu.Unlock()
	nudge(j.signal)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Store implements worker.Journal.
func (j *journal) Store(rec worker.Record, done func(seq uint64, kept worker.Kept, err error)) {
	j.enqueue(outgoing{rec: rec, done: done})
}

// Ack implements worker.Journal.
func (j *journal) Ack(r worker.Receipt) { j.enqueue(outgoing{ack: r}) }

func (j *journal) sendOne(ctx context.Context, o *outgoing) {
	if o.done == nil {
		if a := j.inbox.ack.Load(); a != nil {
			_ = j.conn.Publish(a.of(o.ack), []byte("+ACK")) // lost ones come again and are recognised
		}
		return
	}
	m := j.message(&o.rec)
	if o.cut {
		j.cut(m, &o.rec)
	}
	if !j.waitRoom(ctx, m, *o) {
		return
	}
	if _, err := j.async.PublishMsgAsync(m); err != nil {
		j.settle(m, 0, err)
	}
}

// waitRoom adds a result to the pending ones as soon as there is room; a slow disk makes it wait. It reports false if the term ended
// first.
func (j *journal) waitRoom(ctx context.Context, m *nats.Msg, o outgoing) bool {
	for {
		j.mu.Lock()
		room := len(j.pending) < asyncPending
		if room {
			j.pending[m] = o
		}
		j.mu.Unlock()
		if room {
			return true
		}
		select {
		case <-j.settled:
		case <-ctx.Done():
			return false
		}
	}
}

// resultHeaders is how many headers a result has, unless it is both in a batch and traced. A map for one more would be twice as large.
const resultHeaders = 14

// message makes the message of a result. Its ID is new for each attempt to store it, because the server would answer a
// known ID with an old sequence and store nothing.
func (j *journal) message(rec *worker.Record) *nats.Msg {
	r := &rec.Result
	id := rec.Pos.String() + "." + string(r.Outcome) + "." + strconv.FormatUint(rec.Expect, 36)
	m := &nats.Msg{Subject: j.names.Result(r.Outcome, r.AgentID), Header: make(nats.Header, resultHeaders)}
	values := make([]string, 0, resultHeaders)
	set := func(name, value string) {
		values = append(values, value)
		m.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set(jetstream.MsgIDHeader, id)
	set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(rec.Expect, 10))
	set(jetstream.ExpectedLastSubjSeqSubjHeader, j.names.AgentResults(r.AgentID))
	set(ledgerHeader, string(rec.Ledger))
	if rec.Batch.ID != "" {
		set(batchHeader, batchText(rec.Batch))
		set(storedHeader, strconv.FormatInt(r.ReceivedAt.UnixNano(), 10))
	}
	if rec.TraceParent != "" {
		set(messages.TraceParentHeader, rec.TraceParent)
		if rec.TraceState != "" {
			set(messages.TraceStateHeader, rec.TraceState)
		}
	}
	for _, h := range r.CloudEvent(j.names, id) {
		set(h[0], h[1])
	}
	m.Data = r.AppendJSON(make([]byte, 0, 512))
	return m
}

// acked is called with the server's answer to a result. If it says duplicate, nothing was stored, and the sequence is an old one.
func (j *journal) acked(m *nats.Msg, a *jetstream.PubAck) {
	if a.Duplicate {
		j.settle(m, 0, errors.New("the server takes the result for a duplicate"))
		return
	}
	j.settle(m, a.Sequence, nil)
}

func (j *journal) settle(m *nats.Msg, seq uint64, err error) {
	j.mu.Lock()
	o := j.pending[m]
	delete(j.pending, m)
	j.mu.Unlock()
	nudge(j.settled)
	if o.done == nil || j.ended() != nil {
		return
	}
	if isRefused(err) && !o.cut {
		o.cut = true
		j.enqueue(o)
		return
	}
	j.noteStored(err)
	if conflict(err) {
		err = fmt.Errorf("%w: %w", worker.ErrConflict, err)
	}
	kept := worker.KeptWhole
	if o.cut && err == nil {
		kept = worker.KeptCut
		j.log.Warn("a result could not be stored as it was and was cut", "agent_id", o.rec.Result.AgentID, "change_id", o.rec.Result.ChangeID)
	}
	o.done(seq, kept, err)
}

// longestCut is how many bytes of a text are kept in a result that could not be stored as it was.
const longestCut = 128

// cut removes what is not essential from a result's message, and marks it.
func (j *journal) cut(m *nats.Msg, rec *worker.Record) {
	for name := range m.Header {
		if !strings.HasPrefix(name, "Nats-") && !strings.HasPrefix(name, "Idle-") {
			delete(m.Header, name)
		}
	}
	m.Header.Set(jetstream.MsgIDHeader, m.Header.Get(jetstream.MsgIDHeader)+".cut") // the server may remember the other one
	m.Header.Set(messages.CutHeader, "true")
	r := rec.Result
	for _, text := range []*string{&r.Message, &r.Reason, &r.Source} {
		if len(*text) > longestCut {
			*text = strings.ToValidUTF8((*text)[:longestCut], "")
		}
	}
	m.Data = r.AppendJSON(nil)
}

// noteStored reports trouble with storing results. A single result that is always refused, among thousands that are stored, must not
// fill the log.
func (j *journal) noteStored(err error) {
	const what = "results are not stored"
	since := j.ill.Load()
	switch {
	case err != nil && !conflict(err):
		j.ill.Store(time.Now().UnixNano())
		j.met.report(what, err)
	case since != 0 && time.Now().UnixNano()-since > int64(illFor) && j.ill.CompareAndSwap(since, 0):
		j.met.report(what, nil)
	}
}

// conflict reports whether a message was refused because the last one on its subject is not the expected one.
func conflict(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// flush waits until all results and acknowledgements so far have been sent to the server.
func (j *journal) flush(ctx context.Context) error {
	for {
		j.mu.Lock()
		left := len(j.out) > 0 || j.sending
		j.mu.Unlock()
		if !left {
			return j.conn.FlushWithContext(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pauseFor(ctx, time.Millisecond)
	}
}

// mend creates what is missing on the server.
func (j *journal) mend(ctx context.Context, err error) {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		_, err := j.layout.Ensure(ctx, j.js)
		if ctx.Err() == nil {
			j.met.report("cannot make a stream that is missing", err)
		}
	}
}
