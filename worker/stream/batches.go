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
)

// A batch over several messages is opened by its first progress message, which says from which result on its endings
// may lie; it is closed by its summary. The summaries of one ID follow each other by compare-and-set, and each names
// the last few batches that were closed, so that none is closed twice.
const (
	fromHeader    = "Idle-Batch-From"    // sequence of the results from which on endings of the batch may lie
	startedHeader = "Idle-Batch-Started" // when the stream stored its first message
	closedHeader  = "Idle-Batch-Closed"  // the last batches of this ID that were closed, newest last
	keepClosed    = 64
)

func batchText(k worker.BatchKey) string { return k.ID + " " + strconv.FormatUint(k.Seq, 36) }

// batchName names one batch for good: two messages may carry the same ID, and a stream may be made anew.
func batchName(q worker.BatchQuery) string {
	if q.Key.Seq == 0 {
		return "several"
	}
	return worker.Position{Epoch: q.Pos.Epoch, Seq: q.Key.Seq}.String()
}

// Count implements worker.Journal.
func (j *journal) Count(q worker.BatchQuery, done func(worker.BatchCount)) {
	j.counts.add(func(ctx context.Context) error {
		c, err := j.count(ctx, q)
		if err == nil {
			done(c)
		}
		return err
	})
}

func (j *journal) count(ctx context.Context, q worker.BatchQuery) (worker.BatchCount, error) {
	s, err := j.js.Stream(ctx, j.names.ResultsStream())
	if err != nil {
		return worker.BatchCount{}, err
	}
	summary, closed, err := j.lastSummary(ctx, s, q.Key.ID)
	if err != nil {
		return worker.BatchCount{}, err
	}
	if q.Key.Seq != 0 {
		if slices.Contains(closed, batchName(q)) {
			return worker.BatchCount{Closed: true, UpTo: s.CachedInfo().State.LastSeq}, nil
		}
		return j.tally(ctx, q, 0, q.Since, closed...)
	}
	marker, err := s.GetLastMsgForSubject(ctx, j.names.BatchProgress(q.Key.ID))
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return worker.BatchCount{}, err
	}
	from, open := openedFrom(marker, summary)
	if !open {
		return j.open(ctx, q, s.CachedInfo().State.LastSeq, summary)
	}
	started, _ := time.Parse(time.RFC3339Nano, marker.Header.Get(startedHeader))
	c, err := j.tally(ctx, q, from+1, time.Time{})
	c.Summary.StartedAt = started
	return c, err
}

// openedFrom reads from a batch's last progress message from which result on its endings may lie. A message of a batch
// that was closed by the last summary, and came late, opens nothing: that batch began before its summary.
func openedFrom(marker *jetstream.RawStreamMsg, summary uint64) (from uint64, open bool) {
	if marker == nil {
		return 0, false
	}
	from, err := strconv.ParseUint(marker.Header.Get(fromHeader), 10, 64)
	return from, err == nil && from >= summary
}

// open makes the first progress message of a batch over several messages. Endings of it may already be stored, by an
// owner that died before it could say so; they are not older than the first message that is unfinished.
func (j *journal) open(ctx context.Context, q worker.BatchQuery, last, summary uint64) (worker.BatchCount, error) {
	c, err := j.tally(ctx, q, summary+1, q.Since)
	if err != nil {
		return c, err
	}
	from := last
	if c.Summary.Ended() > 0 {
		from = summary
	}
	c.Summary.StartedAt = q.Since
	m := j.progressMessage(q, messages.BatchProgress{BatchSummary: c.Summary, At: time.Now().UTC()})
	m.Header.Set(fromHeader, strconv.FormatUint(from, 10))
	m.Header.Set(startedHeader, q.Since.Format(time.RFC3339Nano))
	if _, err := j.js.PublishMsg(ctx, m); err != nil {
		return c, err
	}
	return c, nil
}

// tally counts the endings of a batch in the results, from a sequence or an instant on. A batch of one message may have
// been closed before the message was restored: then some of its endings are under the name that is closed. Endings that
// are older than the message are of another one, whatever their names.
func (j *journal) tally(ctx context.Context, q worker.BatchQuery, from uint64, since time.Time, closed ...string) (worker.BatchCount, error) {
	var c worker.BatchCount
	cfg := jetstream.OrderedConsumerConfig{HeadersOnly: true, DeliverPolicy: jetstream.DeliverAllPolicy}
	switch {
	case !since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	case from > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	s, err := j.js.Stream(ctx, j.names.ResultsStream())
	if err != nil {
		return c, err
	}
	c.UpTo = s.CachedInfo().State.LastSeq
	if c.UpTo < from || s.CachedInfo().State.Msgs == 0 {
		return c, nil
	}
	if !since.IsZero() && s.CachedInfo().State.LastTime.Before(since) {
		return c, nil
	}
	want := batchText(q.Key)
	err = scan(ctx, j.js, j.names.ResultsStream(), j.names.ResultsAll(), cfg, func(m jetstream.Msg, seq uint64) error {
		if seq < from || seq > c.UpTo || m.Headers().Get(batchHeader) != want {
			return nil
		}
		if q.Key.Seq != 0 {
			name, ok := nameOf(m.Headers(), q)
			if !ok {
				return nil
			}
			c.Closed = c.Closed || slices.Contains(closed, name)
		}
		if outcome, _, ok := j.names.ParseResultSubject(m.Subject()); ok {
			c.Summary.Count(outcome)
		}
		return nil
	})
	return c, err
}

// nameOf returns the name that the batch of one message had as a result of it was stored. It tells false where the result
// is about another stream of changes.
func nameOf(h nats.Header, q worker.BatchQuery) (string, bool) {
	pos, err := parsePosition(h.Get(nats.MsgIdHdr))
	if err != nil || (pos.Epoch != q.Pos.Epoch && !slices.Contains(q.Earlier, pos.Epoch)) {
		return "", false
	}
	q.Pos.Epoch = pos.Epoch
	return batchName(q), true
}

// lastSummary returns the sequence of the last summary of an ID, and the batches that it knows to be closed.
func (j *journal) lastSummary(ctx context.Context, s jetstream.Stream, id string) (uint64, []string, error) {
	m, err := s.GetLastMsgForSubject(ctx, j.names.Batch(id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	return m.Sequence, strings.Fields(m.Header.Get(closedHeader)), nil
}

// Summarise implements worker.Journal.
func (j *journal) Summarise(q worker.BatchQuery, sum messages.BatchSummary, done func()) {
	j.summaries.add(func(ctx context.Context) error {
		err := j.summarise(ctx, q, sum)
		if err == nil {
			done()
		}
		return err
	})
}

func (j *journal) summarise(ctx context.Context, q worker.BatchQuery, sum messages.BatchSummary) error {
	s, err := j.js.Stream(ctx, j.names.ResultsStream())
	if err != nil {
		return err
	}
	last, closed, err := j.lastSummary(ctx, s, q.Key.ID)
	if err != nil {
		return err
	}
	name := batchName(q)
	if q.Key.Seq == 0 {
		// Which of the batches of this ID it is, its last progress message says.
		marker, err := s.GetLastMsgForSubject(ctx, j.names.BatchProgress(q.Key.ID))
		if err != nil {
			return err
		}
		if _, open := openedFrom(marker, last); !open {
			return nil // closed already: nothing has been opened since
		}
	} else if slices.Contains(closed, name) {
		return nil
	}
	body, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	closed = append(closed, name)
	m := nats.NewMsg(j.names.Batch(q.Key.ID))
	m.Data = body
	m.Header.Set(closedHeader, strings.Join(closed[max(0, len(closed)-keepClosed):], " "))
	m.Header.Set(nats.MsgIdHdr, "batch."+q.Key.ID+"."+name+"."+strconv.FormatUint(last, 36))
	ack, err := j.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last))
	if err == nil && ack.Duplicate {
		err = errors.New("the server takes the summary for a duplicate")
	}
	return err
}

// Progress implements worker.Journal.
func (j *journal) Progress(q worker.BatchQuery, p messages.BatchProgress) {
	j.progress.add(func(ctx context.Context) error {
		if err := j.tell(ctx, q, p); err != nil && ctx.Err() == nil {
			j.log.Debug("progress of a batch is not told", "err", plain(err)) // a later one says more
		}
		return nil
	})
}

// tell stores a progress message. The first one of a batch over several messages says where its endings begin, and each
// carries that on, unless the batch is closed and gone.
func (j *journal) tell(ctx context.Context, q worker.BatchQuery, p messages.BatchProgress) error {
	m := j.progressMessage(q, p)
	if q.Key.Seq != 0 {
		return j.conn.PublishMsg(m)
	}
	s, err := j.js.Stream(ctx, j.names.ResultsStream())
	if err != nil {
		return err
	}
	marker, err := s.GetLastMsgForSubject(ctx, j.names.BatchProgress(q.Key.ID))
	if err != nil {
		return err
	}
	m.Header.Set(fromHeader, marker.Header.Get(fromHeader))
	m.Header.Set(startedHeader, marker.Header.Get(startedHeader))
	_, err = j.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(marker.Sequence))
	return err
}

func (j *journal) progressMessage(q worker.BatchQuery, p messages.BatchProgress) *nats.Msg {
	p.BatchID = q.Key.ID
	m := nats.NewMsg(j.names.BatchProgress(q.Key.ID))
	m.Data, _ = json.Marshal(p) // times and numbers only: never fails
	return m
}
