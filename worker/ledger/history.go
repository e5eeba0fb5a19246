package ledger

import "slices"

// Stream identifies the stream of changes. A stream that is restored from a backup begins another incarnation: a restored
// message keeps its sequence, and a new one may get the sequence of a message that is gone. The time at which the stream
// stored them tells the two apart.
type Stream struct {
	Incarnation int64   // creation time in Unix nanoseconds, or a later number if that one was used before
	Earlier     []int64 // incarnations from before restores, oldest first
}

// Published is a change as the stream of changes holds it now.
type Published struct {
	Pos    Position
	Stored int64 // when the stream stored its message, in Unix nanoseconds
}

// Earlier is what an agent's ledger said of an earlier incarnation of the stream.
type Earlier struct {
	Done   Position // every change up to here had ended, except those in Open
	Stored int64    // when the stream had stored the youngest change that results mention, in Unix nanoseconds
	Open   []Open
}

// A stream is rarely restored, and the header of a result holds 64 KiB.
const (
	maxHistory     = 4
	maxHistoryOpen = 2000
)

// Has reports whether a position of that incarnation is in this stream, now or before a restore. One of a stream that was
// deleted is not.
func (s *Stream) Has(incarnation int64) bool {
	return incarnation == s.Incarnation || s.restored(incarnation)
}

func (s *Stream) restored(incarnation int64) bool { return slices.Contains(s.Earlier, incarnation) }

// Relocate returns e with its position in the current incarnation, if c proves that the stream still holds what was
// published before e.
func (s *Stream) Relocate(e Effect, c Published) Effect {
	if s.restored(e.Pos.Incarnation) && c.Pos.Seq <= e.Pos.Seq && c.Stored <= e.At {
		e.Pos.Incarnation = s.Incarnation
	}
	return e
}

// Begin makes the ledger one of the given incarnation and moves what it says of the one before to its history. A ledger
// that does not say when its changes were stored, because an older version of the worker wrote it, recognises nothing of a
// restored stream and is dropped.
func (l *Ledger) Begin(incarnation int64) {
	if l.Done.Incarnation == incarnation {
		return
	}
	if l.Stored != 0 {
		l.History = append(slices.Clip(l.History), Earlier{l.Done, l.Stored, l.Open})
	}
	for len(l.History) > maxHistory || (len(l.History) > 1 && l.historyOpen() > maxHistoryOpen) {
		l.History = l.History[1:]
	}
	l.Done, l.Stored, l.Open = Position{Incarnation: incarnation}, 0, nil
}

func (l *Ledger) historyOpen() (n int) {
	for i := range l.History {
		n += len(l.History[i].Open)
	}
	return n
}

// HasEnded reports whether the ledger records an ending of the change.
func (l *Ledger) HasEnded(s *Stream, c Published) bool {
	_, ended := l.EndedAt(s, c)
	return ended
}

// EndedAt reports whether the ledger records an ending of the change, and under which position it was stored. If the stream
// went back without a new incarnation, only the store times tell a new change from an old one.
func (l *Ledger) EndedAt(s *Stream, c Published) (Position, bool) {
	if l.Ended(c.Pos) && (l.Stored == 0 || c.Stored <= l.Stored) {
		return c.Pos, true
	}
	for i := range l.History {
		if e := &l.History[i]; s.restored(e.Done.Incarnation) {
			if open, known, ended := e.about(c); known && ended {
				return open.Pos, true
			}
		}
	}
	return c.Pos, false
}

// OpenAs returns what results have said of a change that has not ended. The revision of its session is valid in the current
// incarnation only, because the sessions may have been restored too.
func (l *Ledger) OpenAs(s *Stream, c Published) (Open, bool) {
	if i, ok := findOpen(l.Open, c.Pos); ok {
		return l.Open[i], true
	}
	for i := len(l.History) - 1; i >= 0; i-- {
		if e := &l.History[i]; s.restored(e.Done.Incarnation) {
			if open, known, ended := e.about(c); known && !ended {
				return open, true
			}
		}
	}
	return Open{}, false
}

// about returns what was said of the change in that incarnation. Nothing was known of a change that was stored later.
func (e *Earlier) about(c Published) (open Open, known, ended bool) {
	at := Position{e.Done.Incarnation, c.Pos.Seq, c.Pos.Index}
	if c.Stored > e.Stored || at.Compare(e.Done) > 0 {
		return Open{Pos: at}, false, false
	}
	i, found := findOpen(e.Open, at)
	if !found {
		return Open{Pos: at}, true, true
	}
	return Open{Pos: at, Told: e.Open[i].Told}, true, false
}
