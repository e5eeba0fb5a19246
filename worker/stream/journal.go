package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// journal is the worker's Journal in NATS, for one term. Results and acknowledgements go out in the order in which they
// came, pipelined; everything else is rare and is tried again until it works or the term ends.
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
	ill    atomic.Bool  // the last answer to a result was neither yes nor a conflict

	mu      sync.Mutex // guards what follows
	out     []outgoing
	sending bool // some of what was in out is on its way to the connection
	jobs    []job
	pending map[*nats.Msg]func(uint64, error)
	settled chan struct{} // holds one token after a result was settled
	signal  chan struct{} // holds one token while out may hold something
	work    chan struct{} // the same for jobs
}

// outgoing is a result to publish or a message to acknowledge.
type outgoing struct {
	rec  worker.Record
	done func(uint64, error)
	ack  worker.Receipt // where done is nil
}

// job is something rare that is to be done.
type job struct {
	what string // for people
	do   func(ctx context.Context) error
}

// Headers of results that are for this worker itself.
const (
	ledgerHeader = "Idle-Ledger"
	batchHeader  = "Idle-Batch"
)

const (
	asyncPending = 16384           // results on their way: the library gives up on more than it may have after a moment
	asyncWait    = 8 * time.Second // a leader that was killed is replaced after 4 to 6 s
	jobsAtOnce   = 4
	jobPause     = 250 * time.Millisecond
)

func newJournal(ctx context.Context, o *Owner, box *inbox) (*journal, error) {
	j := &journal{
		conn: o.Conn, js: o.js, layout: o.Layout, names: o.Layout.Names, inbox: box, log: o.Log, met: &o.troubles, ended: ctx.Err,
		pending: map[*nats.Msg]func(uint64, error){},
		settled: make(chan struct{}, 1), signal: make(chan struct{}, 1), work: make(chan struct{}, 1),
	}
	async, err := jetstream.New(o.Conn, jetstream.WithPublishAsyncMaxPending(2*asyncPending), jetstream.WithPublishAsyncTimeout(asyncWait),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, a *jetstream.PubAck) { j.acked(m, a) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { j.settle(m, 0, err) }))
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", plain(err))
	}
	j.async = async
	context.AfterFunc(ctx, async.CleanupPublisher)
	return j, nil
}

// run sends what is handed to the journal until the term ends.
func (j *journal) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range jobsAtOnce {
		wg.Go(func() { j.doJobs(ctx) })
	}
	defer wg.Wait()
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
		free = batch
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
func (j *journal) Store(rec worker.Record, done func(seq uint64, err error)) {
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
	if !j.waitRoom(ctx, m, o.done) {
		return
	}
	if _, err := j.async.PublishMsgAsync(m); err != nil {
		j.settle(m, 0, err)
	}
}

// waitRoom puts a result among those on their way as soon as there is room; a slow disk makes it wait. It tells false
// where the term ended first.
func (j *journal) waitRoom(ctx context.Context, m *nats.Msg, done func(uint64, error)) bool {
	for {
		j.mu.Lock()
		room := len(j.pending) < asyncPending
		if room {
			j.pending[m] = done
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

// message makes the message of a result. Its ID is new for each attempt to store it, because the server would answer a
// known ID with an old sequence and store nothing.
func (j *journal) message(rec *worker.Record) *nats.Msg {
	r := &rec.Result
	id := rec.Pos.String() + "." + string(r.Outcome) + "." + strconv.FormatUint(rec.Expect, 36)
	m := &nats.Msg{Subject: j.names.Result(r.Outcome, r.AgentID), Header: make(nats.Header, 16)}
	m.Header[jetstream.MsgIDHeader] = []string{id}
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(rec.Expect, 10)}
	m.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{j.names.AgentResults(r.AgentID)}
	m.Header[ledgerHeader] = []string{string(rec.Ledger)}
	if rec.Batch.ID != "" {
		m.Header[batchHeader] = []string{batchText(rec.Batch)}
	}
	if rec.TraceParent != "" {
		m.Header[messages.TraceParentHeader] = []string{rec.TraceParent}
		if rec.TraceState != "" {
			m.Header[messages.TraceStateHeader] = []string{rec.TraceState}
		}
	}
	for _, h := range r.CloudEvent(j.names, id) {
		m.Header[h[0]] = []string{h[1]}
	}
	m.Data = r.AppendJSON(make([]byte, 0, 512))
	return m
}

// acked: an answer that calls a result a duplicate stored nothing, and its sequence is an old one.
func (j *journal) acked(m *nats.Msg, a *jetstream.PubAck) {
	if a.Duplicate {
		j.settle(m, 0, errors.New("the server takes the result for a duplicate"))
		return
	}
	j.settle(m, a.Sequence, nil)
}

func (j *journal) settle(m *nats.Msg, seq uint64, err error) {
	j.mu.Lock()
	done := j.pending[m]
	delete(j.pending, m)
	j.mu.Unlock()
	nudge(j.settled)
	if done == nil || j.ended() != nil {
		return
	}
	if ill := err != nil && !conflict(err); j.ill.Swap(ill) != ill || ill {
		j.met.meet("results are not stored", unlessConflict(err))
	}
	done(seq, err)
}

// conflict tells whether a result was refused because the agent's last one is another than was expected.
func conflict(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

func unlessConflict(err error) error {
	if err != nil && conflict(err) {
		return nil
	}
	return err
}

// flush waits until everything that was handed over has reached the server.
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

// do has a job done, again and again until it succeeds or the term ends.
func (j *journal) do(what string, do func(ctx context.Context) error) {
	j.mu.Lock()
	j.jobs = append(j.jobs, job{what, do})
	j.mu.Unlock()
	nudge(j.work)
}

func (j *journal) doJobs(ctx context.Context) {
	for {
		select {
		case <-j.work:
		case <-ctx.Done():
			return
		}
		for next := j.nextJob(); next.do != nil && ctx.Err() == nil; next = j.nextJob() {
			j.persist(ctx, next)
		}
	}
}

// nextJob returns the job that waits longest; its do is nil where none does.
func (j *journal) nextJob() job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.jobs) == 0 {
		return job{}
	}
	next := j.jobs[0]
	j.jobs[0] = job{}
	j.jobs = j.jobs[1:]
	if len(j.jobs) > 0 {
		nudge(j.work) // another one may help
	} else {
		j.jobs = nil
	}
	return next
}

func (j *journal) persist(ctx context.Context, next job) {
	for ctx.Err() == nil {
		err := next.do(ctx) // without a deadline each request has the time that newJetStream gives it
		if ctx.Err() != nil {
			return
		}
		j.met.meet("cannot "+next.what, err)
		if err == nil {
			return
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) {
			_, err := j.layout.Ensure(ctx, j.js)
			j.met.meet("cannot make a stream that is missing", err)
		}
		pauseFor(ctx, jobPause)
	}
}
