package worker

import (
	"slices"
	"strings"
)

// Past is what an agent's ledger said of an earlier epoch, before the stream of changes was restored from a backup. A
// restored message keeps its sequence, and a new one may get that of a message that is gone: what tells them apart is
// when the stream stored them.
type Past struct {
	Done   Position // every change up to here had ended, except those in Open
	Stored int64    // when the stream had stored the youngest of the changes that were told of, in Unix nanoseconds
	Open   []Open
}

// A stream is not restored often, and the header of a result holds 64 KiB.
const (
	maxPast     = 4
	maxPastOpen = 2 * maxLater
)

// begin makes the ledger one of this epoch and keeps what it says of the one before. What an older version of the worker
// wrote does not say when its changes were stored: nothing could be recognised by it.
func (l *Ledger) begin(epoch int64) {
	if l.Done.Epoch == epoch {
		return
	}
	if l.Stored != 0 {
		l.Past = append(slices.Clip(l.Past), Past{l.Done, l.Stored, l.Open})
	}
	for len(l.Past) > maxPast || (len(l.Past) > 1 && l.pastOpen() > maxPastOpen) {
		l.Past = l.Past[1:]
	}
	l.Done, l.Stored, l.Open = Position{Epoch: epoch}, 0, nil
}

// advance notes that a result tells of the change at p. Of what an older version of the worker told it is not known when
// it was stored: until something newer is told, neither is it of the whole.
func (l *Ledger) advance(p Position, stored int64) {
	if p.Compare(l.Done) > 0 {
		l.Done = p
	} else if l.Stored == 0 {
		return
	}
	l.Stored = max(l.Stored, stored)
}

func (l *Ledger) pastOpen() (n int) {
	for _, p := range l.Past {
		n += len(p.Open)
	}
	return n
}

// tells returns what was told of a change by the time its stream was restored. It is about no change that was stored later.
func (p *Past) tells(seq uint64, index int, stored int64) (at Position, told Told, ended, known bool) {
	at = Position{p.Done.Epoch, seq, index}
	if stored > p.Stored || at.Compare(p.Done) > 0 {
		return at, 0, false, false
	}
	i, open := findOpen(p.Open, at)
	if open {
		told = p.Open[i].Told
	}
	return at, told, !open, true
}

// endedAt tells whether the ledger knows of the change's ending, and under which position it was stored. Where
// the stream went back without anybody's notice, only the store times tell the new from the old.
func (l *loop) endedAt(ledger *Ledger, c *change) (Position, bool) {
	at, stored := c.pos(l.term.Epoch), c.msg.receipt.Stored
	if ledger.Ended(at) && (ledger.Stored == 0 || stored <= ledger.Stored) {
		return at, true
	}
	for i := range ledger.Past {
		if p := &ledger.Past[i]; l.ours(p) {
			if at, _, ended, _ := p.tells(c.seq(), int(c.index), stored); ended {
				return at, true
			}
		}
	}
	return at, false
}

func (l *loop) hasEnded(ledger *Ledger, c *change) bool {
	_, ended := l.endedAt(ledger, c)
	return ended
}

// openAs returns what the ledger has told of a change that has not ended. The revision of its session counts in the
// epoch at hand only: the sessions may have been restored too.
func (l *loop) openAs(ledger *Ledger, c *change) (Open, bool) {
	if open, ok := ledger.open(c.pos(l.term.Epoch)); ok {
		return open, true
	}
	for i := len(ledger.Past) - 1; i >= 0; i-- {
		if p := &ledger.Past[i]; l.ours(p) {
			if at, told, ended, known := p.tells(c.seq(), int(c.index), c.msg.receipt.Stored); known && !ended {
				return Open{Pos: at, Told: told}, true
			}
		}
	}
	return Open{}, false
}

// recognise has the newest change of before a restore stand where it stands now, once a change shows that the stream still
// holds what was published before it.
func (l *loop) recognise(ln *lane, c *change) {
	n := ln.newest()
	if n.Pos.Epoch != l.term.Epoch && slices.Contains(l.term.Earlier, n.Pos.Epoch) && c.seq() <= n.Pos.Seq && c.msg.receipt.Stored <= n.At {
		n.Pos.Epoch = l.term.Epoch
		ln.setNewest(n)
	}
}

// ours tells whether a past is one of this very stream, and not of one that was deleted.
func (l *loop) ours(p *Past) bool { return slices.Contains(l.term.Earlier, p.Done.Epoch) }

func (l *loop) ofThisStream(epoch int64) bool {
	return epoch == l.term.Epoch || slices.Contains(l.term.Earlier, epoch)
}

func appendPast(b []byte, p *Past) []byte {
	b = appendNum(appendPos(b, p.Done), p.Stored)
	for _, o := range p.Open {
		b = appendNum(appendNum(appendNum(b, int64(o.Pos.Seq)), int64(o.Pos.Index)), int64(o.Told))
	}
	return b
}

func readPast(text string) (Past, error) {
	n, err := numbers(text, strings.Count(text, ".")+1)
	if err != nil {
		return Past{}, err
	}
	if len(n) < 4 || (len(n)-4)%3 != 0 {
		return Past{}, errNumbers
	}
	p := Past{Done: position(n), Stored: n[3]}
	for n = n[4:]; len(n) > 0; n = n[3:] {
		p.Open = append(p.Open, Open{Pos: Position{p.Done.Epoch, uint64(n[0]), int(n[1])}, Told: Told(n[2])})
	}
	return p, nil
}
