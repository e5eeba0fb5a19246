package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
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

	mu      sync.Mutex // guards what follows
	out     []outgoing
	jobs    []func(ctx context.Context) error
	pending map[*nats.Msg]func(uint64, error)
	signal  chan struct{} // holds one token while out may hold something
	work    chan struct{} // the same for jobs
}

// outgoing is a result to publish or a message to acknowledge.
type outgoing struct {
	rec  worker.Record
	done func(uint64, error)
	ack  worker.Receipt // where done is nil
}

// Headers of results that are for this worker itself.
const (
	ledgerHeader = "Idle-Ledger"
	batchHeader  = "Idle-Batch"
)

const (
	asyncPending = 16384
	asyncWait    = 8 * time.Second // a leader that was killed is replaced after 4 to 6 s
	jobsAtOnce   = 4
	jobPause     = 250 * time.Millisecond
)

func newJournal(ctx context.Context, nc *nats.Conn, layout Layout, js jetstream.JetStream, box *inbox, log *slog.Logger) (*journal, error) {
	j := &journal{
		conn: nc, js: js, layout: layout, names: layout.Names, inbox: box, log: log,
		pending: map[*nats.Msg]func(uint64, error){}, signal: make(chan struct{}, 1), work: make(chan struct{}, 1),
	}
	async, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(asyncPending), jetstream.WithPublishAsyncTimeout(asyncWait),
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
		j.out = free[:0]
		j.mu.Unlock()
		for i := range batch {
			j.sendOne(&batch[i])
		}
		clear(batch)
		free = batch
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

func (j *journal) sendOne(o *outgoing) {
	if o.done == nil {
		if a := j.inbox.ack.Load(); a != nil {
			_ = j.conn.Publish(a.of(o.ack), []byte("+ACK")) // lost ones come again and are recognised
		}
		return
	}
	m := j.message(&o.rec)
	j.mu.Lock()
	j.pending[m] = o.done
	j.mu.Unlock()
	if _, err := j.async.PublishMsgAsync(m); err != nil {
		j.settle(m, 0, err)
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
	if done != nil {
		done(seq, err)
	}
}

// flush waits until everything that was handed over has reached the server.
func (j *journal) flush(ctx context.Context) error {
	for {
		j.mu.Lock()
		left := len(j.out)
		j.mu.Unlock()
		if left == 0 {
			return j.conn.FlushWithContext(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pauseFor(ctx, time.Millisecond)
	}
}

// do has a job done, again and again until it succeeds or the term ends.
func (j *journal) do(what string, job func(ctx context.Context) error) {
	j.mu.Lock()
	j.jobs = append(j.jobs, func(ctx context.Context) error {
		if err := job(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
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
		for job := j.nextJob(); job != nil; job = j.nextJob() {
			j.persist(ctx, job)
		}
	}
}

func (j *journal) nextJob() func(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.jobs) == 0 {
		return nil
	}
	job := j.jobs[0]
	j.jobs[0] = nil
	j.jobs = j.jobs[1:]
	if len(j.jobs) > 0 {
		nudge(j.work) // another one may help
	} else {
		j.jobs = nil
	}
	return job
}

func (j *journal) persist(ctx context.Context, job func(context.Context) error) {
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, time.Minute)
		err := job(try)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		j.log.Warn("NATS has to be asked again", "err", err)
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) {
			if _, err := j.layout.Ensure(ctx, j.js); err != nil {
				j.log.Warn("a stream that is missing could not be created", "err", err)
			}
		}
		pauseFor(ctx, jobPause)
	}
}
