package stream

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// A batch over several messages has generations. The first progress message opens a generation and says after which result its
// endings are. The summary closes it and names its last message; later messages belong to the next generation. The summaries of one
// ID are stored by compare-and-set. Each also lists the last few messages that were batches of their own and are closed, so that
// none is closed twice.
const (
	fromHeader    = "Idle-Batch-From"    // sequence of the results after which endings of the generation are
	firstHeader   = "Idle-Batch-First"   // the first message of the generation, as far as it is known
	startedHeader = "Idle-Batch-Started" // when the stream stored that one
	lastHeader    = "Idle-Batch-Last"    // the last message of the last generation that was closed
	closedHeader  = "Idle-Batch-Closed"  // the last messages of this ID that were closed as batches of their own, newest last
	keepClosed    = 64
	mostClosed    = 1000 // the header of a summary holds 64 KiB
)

func batchText(k worker.BatchKey) string { return k.ID + " " + strconv.FormatUint(k.Seq, 36) }

// batchName returns a unique name for the batch of one message: two may have the same ID, and a stream may be deleted and created again.
func batchName(q worker.BatchQuery) string {
	return ledger.Position{Incarnation: q.Pos.Incarnation, Seq: q.Key.Seq}.String()
}

// marker is what the last progress message of a batch over several messages says.
type marker struct {
	seq     uint64 // 0: there is none
	from    uint64
	first   worker.Cursor
	started time.Time
}

// isProgress returns a function that reports whether a message is a progress report of the batch: anybody who may publish on its
// subject can put anything there.
func isProgress(id string) func(*Message) bool {
	return func(m *Message) bool {
		var p messages.BatchProgress
		return json.Unmarshal(m.Data, &p) == nil && p.BatchID == id
	}
}

func (j *journal) marker(ctx context.Context, id string) (marker, error) {
	raw, _, err := lastGenuine(ctx, j.js, j.names.ResultsStream(), j.names.BatchProgress(id), isProgress(id))
	if err != nil || raw.Seq == 0 {
		return marker{}, err
	}
	m := marker{seq: raw.Seq}
	m.from, _ = strconv.ParseUint(raw.Header.Get(fromHeader), 10, 64)
	m.first = parseCursor(raw.Header.Get(firstHeader))
	m.started, _ = time.Parse(time.RFC3339Nano, raw.Header.Get(startedHeader))
	return m, nil
}

func cursorText(m worker.Cursor) string {
	return m.Pos.String() + "." + strconv.FormatInt(m.Stored, 36)
}

// parseCursor parses what cursorText or an older version of the worker wrote; zero: it is neither.
func parseCursor(text string) worker.Cursor {
	pos, _, _ := ledger.CutPosition(text)
	m := worker.Cursor{Pos: pos}
	if parts := strings.Split(text, "."); len(parts) == 4 {
		m.Stored, _ = strconv.ParseInt(parts[3], 36, 64)
	}
	return m
}

// open stores the first progress message of a generation, unless it is there. Endings of the generation may already be stored: by an
// owner that died before it opened it, or before the previous generation was closed.
func (j *journal) open(ctx context.Context, c *counting) error {
	q, have := c.query, &c.have
	switch {
	case q.Key.Seq != 0:
		return nil
	case c.opened():
		if so := have.Count(); so.Ended() > 0 {
			have.Started = c.mark.started // else the first message is the one that is here
		}
		return nil
	case have.Before.Covers(q.First()):
		return nil // a message of a closed generation came again
	}
	from := have.UpTo
	if c.first > 0 {
		from = c.first - 1
	}
	sum := have.Count()
	sum.StartedAt, sum.Total = q.Since, q.Total
	m := j.progressMessage(q, messages.BatchProgress{BatchSummary: sum, At: time.Now().UTC()})
	m.Header.Set(fromHeader, strconv.FormatUint(from, 10))
	m.Header.Set(firstHeader, cursorText(q.First()))
	m.Header.Set(startedHeader, q.Since.Format(time.RFC3339Nano))
	_, err := j.js.PublishMsg(ctx, m)
	return err
}

// summary is what the last summary of an ID says.
type summary struct {
	seq    uint64 // of the last message on its subject, whoever published it; 0: there is none
	last   worker.Cursor
	closed []string
}

func (j *journal) lastSummary(ctx context.Context, id string) (summary, error) {
	m, last, err := lastGenuine(ctx, j.js, j.names.ResultsStream(), j.names.Batch(id), func(m *Message) bool {
		return m.Header.Get(lastHeader) != "" && json.Unmarshal(m.Data, &messages.BatchSummary{}) == nil
	})
	if err != nil {
		return summary{}, err
	}
	return summary{last, parseCursor(m.Header.Get(lastHeader)), strings.Fields(m.Header.Get(closedHeader))}, nil
}

// Summarise implements worker.Journal. Another batch of the same ID may get its summary at the same time.
func (j *journal) Summarise(q worker.BatchQuery, sum messages.BatchSummary, done func()) {
	j.summaries.add(job{
		do: func(ctx context.Context, _ int) error {
			err := j.summarise(ctx, q, sum)
			for conflict(err) && ctx.Err() == nil {
				err = j.summarise(ctx, q, sum)
			}
			return err
		},
		done: func(int) { done() },
		giveUp: func(err error) {
			j.log.Error("the summary of a batch was given up", "batch_id", q.Key.ID, "err", plain(err))
			done()
		},
	})
}

// stillClosed drops the oldest names above keepClosed, except those whose message is still in the stream of changes: another of its
// changes waits, and a new owner would store a second summary.
func (j *journal) stillClosed(ctx context.Context, names []string) ([]string, error) {
	more := len(names) - keepClosed
	if more <= 0 {
		return names, nil
	}
	kept := make([]string, 0, len(names))
	for _, name := range names[:more] {
		pos, _, _ := ledger.CutPosition(name)
		_, err := GetMsg(ctx, j.js, j.names.ChangesStream(), pos.Seq)
		switch {
		case err == nil:
			kept = append(kept, name)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, err
		}
	}
	kept = append(kept, names[more:]...)
	return kept[max(0, len(kept)-mostClosed):], nil
}

func (j *journal) summarise(ctx context.Context, q worker.BatchQuery, sum messages.BatchSummary) error {
	was, err := j.lastSummary(ctx, q.Key.ID)
	if err != nil {
		return err
	}
	name := batchName(q)
	switch {
	case q.Key.Seq == 0 && was.last.Covers(q.Last), q.Key.Seq != 0 && slices.Contains(was.closed, name):
		return nil // stored already
	case q.Key.Seq == 0:
		was.last, name = q.Last, "several"
	default:
		if was.closed, err = j.stillClosed(ctx, append(was.closed, name)); err != nil {
			return err
		}
	}
	body, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	m := nats.NewMsg(j.names.Batch(q.Key.ID))
	m.Data = body
	m.Header.Set(lastHeader, cursorText(was.last))
	m.Header.Set(closedHeader, strings.Join(was.closed, " "))
	m.Header.Set(nats.MsgIdHdr, "batch."+q.Key.ID+"."+name+"."+strconv.FormatUint(was.seq, 36))
	ack, err := j.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(was.seq))
	if err == nil && ack.Duplicate {
		err = errors.New("the server takes the summary for a duplicate")
	}
	return err
}

// Progress implements worker.Journal.
func (j *journal) Progress(q worker.BatchQuery, p messages.BatchProgress, done func()) {
	j.progress.add(job{done: func(int) { done() }, do: func(ctx context.Context, _ int) error {
		if err := j.storeProgress(ctx, q, p); err != nil && ctx.Err() == nil {
			j.log.Debug("progress of a batch was not stored", "err", plain(err)) // a later one says more
		}
		return nil
	}})
}

// storeProgress stores a progress message. The first one of a batch over several messages says where its endings begin. Each later
// one repeats that, even one of another batch with the same ID.
func (j *journal) storeProgress(ctx context.Context, q worker.BatchQuery, p messages.BatchProgress) error {
	before, last, err := lastGenuine(ctx, j.js, j.names.ResultsStream(), j.names.BatchProgress(q.Key.ID), isProgress(q.Key.ID))
	switch {
	case err != nil:
		return err
	case last == 0 && q.Key.Seq == 0:
		return jetstream.ErrMsgNotFound
	}
	m := j.progressMessage(q, p)
	for _, name := range [...]string{fromHeader, firstHeader, startedHeader} {
		if value := before.Header.Get(name); value != "" {
			m.Header.Set(name, value)
		}
	}
	_, err = j.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last))
	return err
}

func (j *journal) progressMessage(q worker.BatchQuery, p messages.BatchProgress) *nats.Msg {
	p.BatchID = q.Key.ID
	m := nats.NewMsg(j.names.BatchProgress(q.Key.ID))
	m.Data, _ = json.Marshal(p) // times and numbers only: never fails
	return m
}
