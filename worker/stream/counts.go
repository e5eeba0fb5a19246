package stream

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// counting is a batch whose endings are being counted in the results.
type counting struct {
	query worker.BatchQuery
	done  func(worker.BatchCount)
	have  worker.BatchCount
	mark  marker
	from  uint64 // sequence of the results from which on its endings may lie; 0: since says it
	since time.Time
	first uint64 // sequence of the first of its endings
	// names of closed batches with the same ID
	closed []string
}

// Count implements worker.Journal. After a takeover many batches must be counted at once, so all that have been requested by then are
// counted in one pass over the results.
func (j *journal) Count(q worker.BatchQuery, done func(worker.BatchCount)) {
	j.mu.Lock()
	j.asked = append(j.asked, &counting{query: q, done: done})
	j.mu.Unlock()
	j.counts.add(job{do: j.countAsked})
}

func (j *journal) countAsked(ctx context.Context, _ int) error {
	j.mu.Lock()
	asked := j.asked
	j.asked = nil
	j.mu.Unlock()
	left, err := j.countAll(ctx, asked)
	j.mu.Lock()
	j.asked = append(left, j.asked...)
	j.mu.Unlock()
	return err
}

// countAll returns those that could not be counted.
func (j *journal) countAll(ctx context.Context, asked []*counting) ([]*counting, error) {
	if len(asked) == 0 {
		return nil, nil // an earlier job saw to them
	}
	var open []*counting
	for i, c := range asked {
		closed, err := j.lookUp(ctx, c)
		if err != nil {
			return append(open, asked[i:]...), err
		}
		if closed {
			c.done(c.have)
		} else {
			open = append(open, c)
		}
	}
	if err := j.tally(ctx, open); err != nil {
		return open, err
	}
	for i, c := range open {
		if err := j.open(ctx, c); err != nil {
			return open[i:], err
		}
		c.done(c.have)
	}
	return nil, nil
}

// lookUp finds out whether the batch is closed and, if not, where counting begins.
func (j *journal) lookUp(ctx context.Context, c *counting) (closed bool, err error) {
	q := c.query
	*c = counting{query: q, done: c.done, since: q.Since}
	last, err := j.lastSummary(ctx, q.Key.ID)
	if err != nil {
		return false, err
	}
	if q.Key.Seq != 0 {
		c.closed = last.closed
		c.have.Closed = slices.Contains(c.closed, batchName(q))
		return c.have.Closed, nil
	}
	c.have.Before = last.last
	if c.mark, err = j.marker(ctx, q.Key.ID); err != nil {
		return false, err
	}
	if c.opened() {
		c.from, c.since = c.mark.from+1, time.Time{}
	} else {
		c.since = q.Since.Add(-clocksDiffer)
	}
	return false, nil
}

// clocksDiffer is how much the clocks of the servers that store changes and results may differ.
const clocksDiffer = time.Minute

// opened reports whether the marker's generation is still open.
func (c *counting) opened() bool { return !c.have.Before.Covers(c.mark.first) }

// tally counts the endings of all these batches in the results.
func (j *journal) tally(ctx context.Context, all []*counting) error {
	if len(all) == 0 {
		return nil
	}
	s, err := j.js.Stream(ctx, j.names.ResultsStream())
	if err != nil {
		return err
	}
	upTo := s.CachedInfo().State.LastSeq
	bySeq, byTime := map[string]*counting{}, map[string]*counting{}
	var from uint64
	var since time.Time
	for _, c := range all {
		c.have.UpTo, c.have.Endings, c.first = upTo, nil, 0
		if c.from > 0 {
			bySeq[batchText(c.query.Key)] = c
			if from == 0 || c.from < from {
				from = c.from
			}
			continue
		}
		byTime[batchText(c.query.Key)] = c
		if since.IsZero() || c.since.Before(since) {
			since = c.since
		}
	}
	if len(bySeq) > 0 {
		cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from}
		if err := j.read(ctx, cfg, bySeq); err != nil {
			return err
		}
	}
	if len(byTime) == 0 {
		return nil
	}
	return j.read(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	}, byTime)
}

func (j *journal) read(ctx context.Context, cfg jetstream.OrderedConsumerConfig, of map[string]*counting) error {
	for _, c := range of {
		if c.have.UpTo < cfg.OptStartSeq {
			return nil // there is none so far
		}
	}
	return scan(ctx, j.js, j.names.ResultsStream(), j.names.ResultsAll(), cfg, func(m *Message) error {
		if c := of[m.Header.Get(batchHeader)]; c != nil {
			j.note(c, m)
		}
		return nil
	})
}

// ofMessage reports whether an ending belongs to this message: before the stream was restored, another message may have had its
// sequence. If the batch was closed before the restore, that is recorded under the name that it had then.
func (c *counting) ofMessage(pos ledger.Position, stored int64) bool {
	if stored != 0 && stored != c.query.Since.UnixNano() {
		return false
	}
	name := c.query
	if name.Pos.Incarnation = pos.Incarnation; pos.Incarnation != c.query.Pos.Incarnation && !slices.Contains(name.Earlier, pos.Incarnation) {
		return false
	}
	c.have.Closed = c.have.Closed || slices.Contains(c.closed, batchName(name))
	return true
}

func (j *journal) note(c *counting, m *Message) {
	outcome, _, ok := j.names.ParseResultSubject(m.Subject)
	pos, _, err := ledger.CutPosition(m.Header.Get(nats.MsgIdHdr))
	before := c.have.Before.Pos
	switch {
	case !ok, err != nil, !outcome.Ends(), m.Seq < c.from, m.Seq > c.have.UpTo:
		return
	case pos.Incarnation == before.Incarnation && pos.Seq <= before.Seq:
		return // of a generation that has its summary
	}
	stored, _ := strconv.ParseInt(m.Header.Get(storedHeader), 10, 64)
	if c.query.Key.Seq != 0 && !c.ofMessage(pos, stored) {
		return
	}
	if c.first == 0 {
		c.first = m.Seq
	}
	c.have.Endings = append(c.have.Endings, worker.Ending{Pos: pos, Stored: stored, Outcome: outcome})
}
