package worker

import (
	"cmp"
	"slices"
)

// regroup assigns the members to their generations again, now that the journal has counted which changes have ended. A
// message that was acknowledged belongs to the first generation, because those of later ones stay in the stream until the
// first one's summary is stored.
func (b *batch) regroup(c *BatchCount) {
	bySeq := b.ungroup()
	of := func(e *Ending) *member { return b.memberOf(e, bySeq) }
	first := &generation{}
	first.sum.StartedAt = c.Started
	if len(b.generations) > 0 {
		first.reported = b.generations[0].reported
	}
	b.generations = nil
	if c.Closed {
		return
	}
	for i := range c.Endings {
		e := &c.Endings[i]
		if mb := of(e); mb != nil {
			mb.found = true
		} else if !c.Before.Covers(e.cursor()) {
			first.sum.Count(e.Outcome)
			first.size++
			first.query.Last = later(first.query.Last, e.cursor())
		}
	}
	for _, mb := range b.members {
		if c.Before.Covers(mb.cursor()) || (mb.known == mb.items && !mb.found && b.key.Seq == 0) {
			continue // it came again after the summary of its generation
		}
		if b.generations == nil {
			b.generations = []*generation{first}
		}
		b.assign(mb)
	}
	for i := range c.Endings {
		e := &c.Endings[i]
		if mb := of(e); mb != nil && mb.generation != nil {
			mb.generation.sum.Count(e.Outcome)
		}
	}
}

// ungroup takes all members out of their generations. It sorts them by sequence, and returns them by sequence.
func (b *batch) ungroup() map[uint64]*member {
	b.removeGone()
	slices.SortStableFunc(b.members, func(x, y *member) int { return cmp.Compare(x.msg.receipt.Seq, y.msg.receipt.Seq) })
	bySeq := make(map[uint64]*member, len(b.members))
	for _, mb := range b.members {
		mb.generation, mb.found = nil, false
		bySeq[mb.msg.receipt.Seq] = mb
	}
	return bySeq
}

// memberOf returns the member that an ending belongs to, nil if it has left. After a restore a message may have the sequence
// of another one. An ending without a store time may be of a stream that was deleted.
func (b *batch) memberOf(e *Ending, bySeq map[uint64]*member) *member {
	mb := bySeq[e.Pos.Seq]
	switch {
	case mb == nil, e.Stored != 0 && e.Stored != mb.msg.receipt.Stored:
		return nil
	case e.Stored == 0 && !b.in.term.Stream.Has(e.Pos.Incarnation):
		return nil
	}
	return mb
}
