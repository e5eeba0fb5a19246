package worker

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// batches are the batches with changes that have not ended. They decide when a summary is stored and which messages must
// stay in the stream until then.
type batches struct {
	*clock
	backlog    *backlog
	term       *Term
	mail       *mailbox
	log        *slog.Logger
	open       map[BatchKey]*batch
	storing    int       // summaries and progress messages that are on their way to the journal
	reportedAt time.Time // when progress was last reported
}

// batch is one open batch. Its counts come from the results: endings that this term stores are added as they are stored,
// earlier ones are counted by the journal.
type batch struct {
	in          *batches
	key         BatchKey
	members     []*member
	gone        int           // members whose messages were acknowledged
	generations []*generation // the first one gets the next summary; the others wait for that
	since       []tally       // endings that were stored while the journal was counting
	upTo        uint64        // results up to here are counted; the journal may read one before we learn that it is stored
	doubt       bool          // endings from before this term, or by another owner, are not counted yet
	counting    bool          // the journal is counting
	closing     bool          // the summary of the first generation is on its way
	reporting   bool          // a progress message is on its way; the summary must come after it

	cameAt     time.Time // when a change of it last came in
	reportedAt time.Time // when its progress was last reported; a count reports it, too
}

// member is one message's part in a batch.
type member struct {
	batch      *batch
	generation *generation // nil: it got its summary, with this message or without it
	msg        *message
	total      int  // the message's batch_total
	items      int  // changes of the message that count
	known      int  // of them, those that had ended before the message came
	found      bool // the results have endings of it
	gone       bool // its message was acknowledged
}

// generation is one use of a batch's ID: its messages until the total is reached. All changes of the message that reaches the
// total belong to it. A batch of one message has one generation.
type generation struct {
	query    BatchQuery
	total    int // changes that it is to have, as its last message said; 0: it is a batch of one message
	size     int // changes that it has so far
	sum      messages.BatchSummary
	reported int // endings as of the last progress report
}

// tally is an ending that was stored while the journal was counting.
type tally struct {
	member  *member
	outcome messages.Outcome
	seq     uint64
}

func newBatches(c *clock, backlog *backlog, term *Term, mail *mailbox, log *slog.Logger) *batches {
	return &batches{clock: c, backlog: backlog, term: term, mail: mail, log: log, open: map[BatchKey]*batch{}}
}

// join adds a change of the message to its batch; nil: it has none. The message's first change makes it a member and puts it
// into the last generation, or into a new one if that is full.
func (bs *batches) join(m *message, id string, total int) *member {
	if id == "" {
		return nil
	}
	key := BatchKey{ID: id}
	if total == 0 {
		key.Seq = m.receipt.Seq
	}
	b := bs.open[key]
	if b == nil {
		b = &batch{in: bs, key: key, doubt: key.Seq == 0}
		bs.open[key] = b
	}
	b.cameAt = bs.now
	if n := len(b.members); n > 0 && b.members[n-1].msg == m {
		b.members[n-1].add(1)
		return b.members[n-1]
	}
	mb := &member{batch: b, msg: m, total: total, items: 1}
	b.members, m.members = append(b.members, mb), append(m.members, mb)
	b.assign(mb)
	return mb
}

// assign chooses the generation of a member. While the journal is counting nobody knows whether the last one is full;
// regroup corrects a wrong choice.
func (b *batch) assign(mb *member) {
	n := len(b.generations)
	g := 0 // the message came again, or the other messages of the first generation were finished by another owner
	if n == 0 || !b.generations[0].query.Last.Covers(mb.cursor()) {
		if n == 0 || n == 1 && b.closing || b.generations[n-1].full() {
			b.generations = append(b.generations, &generation{})
		}
		g = len(b.generations) - 1
	}
	b.generations[g].add(mb)
}

func (g *generation) add(mb *member) {
	at := mb.cursor()
	if g.query.Since.IsZero() {
		g.query.Earlier = mb.batch.in.term.Stream.Earlier
		g.query.Key, g.query.Pos, g.query.Since = mb.batch.key, at.Pos, time.Unix(0, at.Stored).UTC()
	}
	if g.sum.StartedAt.IsZero() {
		g.sum.StartedAt = g.query.Since
	}
	g.query.Last = later(g.query.Last, at)
	g.sum.BatchID = mb.batch.key.ID
	g.total, g.query.Total = mb.total, mb.total
	g.size += mb.items
	mb.generation = g
}

func (g *generation) full() bool { return g.total > 0 && g.size >= g.total }

func (g *generation) complete() bool {
	return g.size > 0 && g.sum.Ended() >= g.size && (g.full() || g.query.Key.Seq != 0)
}

// soFar returns the counts of a generation that has not ended.
func (g *generation) soFar() messages.BatchSummary {
	sum := g.sum
	sum.Total = max(g.total, g.size)
	return sum
}

func (mb *member) cursor() Cursor {
	at := ledger.Position{Incarnation: mb.batch.in.term.Stream.Incarnation, Seq: mb.msg.receipt.Seq}
	return Cursor{at, mb.msg.receipt.Stored}
}

// add adds n changes of the message; n may be negative.
func (mb *member) add(n int) {
	mb.items += n
	if mb.generation != nil {
		mb.generation.size += n
	}
}

// admitted is called once all changes of a message have joined.
func (bs *batches) admitted(m *message) {
	for _, mb := range m.members {
		mb.batch.count()
		mb.batch.closeIfComplete()
	}
}

// endedBefore is called if a change of the message had ended before the message came. The journal counts its ending.
func (mb *member) endedBefore() {
	if mb != nil {
		mb.known++
		mb.distrust()
	}
}

// endedElsewhere is called if another owner ended a change of the message. The journal counts its ending.
func (mb *member) endedElsewhere() {
	if mb != nil {
		mb.distrust()
		mb.batch.count()
	}
}

func (mb *member) distrust() {
	if mb.generation != nil {
		mb.batch.doubt = true
	}
}

// ended counts an ending that this term has stored, seq being its sequence in the results.
func (mb *member) ended(o messages.Outcome, seq uint64) {
	b := mb.batch
	switch {
	case mb.generation == nil:
		return // it got its summary without this one
	case b.counting || b.doubt:
		b.since = append(b.since, tally{mb, o, seq})
		return
	case seq > b.upTo:
		mb.generation.sum.Count(o)
	}
	b.closeIfComplete()
}

// count asks the journal for the endings that this term did not store itself, if there may be any.
func (b *batch) count() {
	if b.counting || b.closing || !b.doubt || len(b.generations) == 0 {
		return
	}
	b.doubt, b.counting = false, true
	q := b.generations[0].query
	b.in.term.Journal.Count(q, func(c BatchCount) { b.in.mail.push(batchCounted{b, q, c}) })
}

type batchCounted struct {
	batch *batch
	query BatchQuery
	count BatchCount
}

func (c batchCounted) apply(*loop) { c.batch.counted(&c.query, &c.count) }

func (b *batch) counted(q *BatchQuery, c *BatchCount) {
	b.counting, b.upTo, b.reportedAt = false, c.UpTo, b.in.now
	b.regroup(c)
	for _, t := range b.since {
		if t.seq > b.upTo && t.member.generation != nil {
			t.member.generation.sum.Count(t.outcome)
		}
	}
	b.since = nil
	// A message whose generation already has a summary does not start a new one.
	b.doubt = len(b.generations) > 0 && (b.doubt || b.key.Seq == 0 && c.Before.Covers(q.First()))
	b.count()
	b.closeIfComplete()
	b.ackMembers()
	b.dropIfEmpty()
}

// closeIfComplete stores the summary once the last change of the first generation has ended; the messages that wait for it
// are acknowledged afterwards. Changes that have not been read yet may belong to it, if there are more than its total says.
func (b *batch) closeIfComplete() {
	if len(b.generations) == 0 || b.counting || b.doubt || b.closing || b.reporting {
		return
	}
	g := b.generations[0]
	if b.key.Seq != 0 && g.size == 0 {
		b.closed()
		return
	}
	if !g.complete() || (b.key.Seq == 0 && b.in.backlog.behind) {
		return
	}
	if b.key.Seq == 0 && g.size > g.total {
		b.in.log.Warn("a batch has more changes than its batch_total", "batch", b.key.ID, "batch_total", g.total, "changes", g.size)
	}
	b.closing = true
	g.sum.Total, g.sum.FinishedAt = g.size, b.in.now.UTC()
	b.in.storing++
	b.in.term.Journal.Summarise(g.query, g.sum, func() { b.in.mail.push(summarised{b}) })
}

type summarised struct{ batch *batch }

func (s summarised) apply(l *loop) {
	l.batches.storing--
	l.pipeline.moved = l.now
	s.batch.closed()
}

// closed drops the first generation, whose summary is stored. The endings of the next one are counted now, because it may
// have begun in an earlier term.
func (b *batch) closed() {
	for _, mb := range b.members {
		if mb.generation == b.generations[0] {
			mb.generation = nil
		}
	}
	b.generations = b.generations[1:]
	b.closing, b.doubt = false, len(b.generations) > 0
	b.count()
	b.ackMembers()
	b.dropIfEmpty()
}

func (b *batch) ackMembers() {
	for _, mb := range slices.Clone(b.members) {
		b.in.backlog.ackIfDone(mb.msg)
	}
}

func (b *batch) dropIfEmpty() {
	if len(b.generations) == 0 && !b.counting && b.in.open[b.key] == b {
		delete(b.in.open, b.key)
	}
}

// holds reports whether a message whose changes have all ended must stay in the stream for its batch.
func (mb *member) holds() bool {
	b, g := mb.batch, mb.generation
	switch {
	case b.key.Seq != 0:
		return g != nil
	case b.counting, b.doubt, b.closing:
		return true
	default:
		return g != nil && (g != b.generations[0] || g.complete())
	}
}

// leave takes a member out of its batch because its message is acknowledged.
func (mb *member) leave() {
	b := mb.batch
	mb.gone = true
	if b.gone++; b.gone > len(b.members)/2 { // removing each one at once would take quadratic time
		b.removeGone()
	}
	if i := slices.Index(b.generations, mb.generation); i >= 0 && mb.generation.size == 0 {
		b.generations = slices.Delete(b.generations, i, i+1) // it had only copies of earlier messages
	}
	b.dropIfEmpty()
}

func (b *batch) removeGone() {
	b.members = slices.DeleteFunc(b.members, func(mb *member) bool { return mb.gone })
	b.gone = 0
}

// progressEvery is how often a batch's progress is reported at most.
const progressEvery = time.Second

// batchRests is how long a batch is remembered that has no unfinished message: the rest of its total may never come.
const batchRests = 10 * time.Minute

// reportProgress reports the progress of the batches in which changes have ended since it last did.
func (bs *batches) reportProgress(prospects func() map[*batch]*prospect) {
	if bs.now.Sub(bs.reportedAt) < progressEvery {
		return
	}
	bs.reportedAt = bs.now
	prospects = sync.OnceValue(prospects) // most of the time no batch needs them
	for _, b := range bs.open {
		if len(b.generations) == 0 || b.counting || b.doubt || b.closing || b.reporting || bs.now.Sub(b.reportedAt) < progressEvery {
			continue
		}
		g := b.generations[0]
		if ended := g.sum.Ended(); ended != g.reported {
			g.reported, b.reportedAt = ended, bs.now
			b.reporting = true
			bs.storing++
			bs.term.Journal.Progress(g.query, prospects()[b].progress(g.soFar(), bs.now), func() { bs.mail.push(progressStored{b}) })
		} else if b.gone == len(b.members) && bs.now.Sub(b.cameAt) > batchRests {
			delete(bs.open, b.key) // if more of it comes, the journal counts its endings
		}
	}
}

type progressStored struct{ batch *batch }

func (p progressStored) apply(l *loop) {
	l.batches.storing--
	l.pipeline.moved = l.now
	p.batch.reporting = false
	p.batch.closeIfComplete()
}
