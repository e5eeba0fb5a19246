// Package ledger says what has become of one agent's changes. Every result of an agent carries the agent's ledger in a
// header, so the last result tells a new owner after any crash which changes have ended.
//
// ledger.go has the ledger and what it can be asked, position.go the order of changes, history.go what is known across
// restores of the stream of changes, text.go the form in which it is stored.
package ledger

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"idlepolicy/messages"
)

// Ledger is what the results of one agent say about its changes. The zero Ledger belongs to an agent without results.
type Ledger struct {
	Seq     uint64    // of the agent's last result in the stream of results: what the next compare-and-set expects
	Done    Position  // every change up to here has ended, except those in Open
	Open    []Open    // in the order of their positions
	Stored  int64     // when the stream stored the youngest change of Done's incarnation that results mention, in Unix nanoseconds; 0: unknown
	History []Earlier // what was known of earlier incarnations of the stream, oldest first
	Newest  Effect    // the change that took effect last
	SignIn  SignIn    // for which a policy was last sent to the gateway
	Recent  []Recent  // messages of the last few endings, oldest first
	Landing int64     // until then a call without an answer may still take effect, in Unix nanoseconds; 0: none may. The next owner must know: the change may have ended
	Last    Last      // what the last result was about
	InForce *InForce  // the last policy that the gateway accepted; nil: none is known
}

// Open is a change that has not ended although a later position has, with what results have said about it.
type Open struct {
	Pos  Position
	Told Told
	Rev  uint64 // revision of the session that the gateway refused; 0: none
}

// Told says which waiting results a change has had, so that a new owner does not repeat them.
type Told uint8

// What waiting results may have said.
const (
	ToldInstant Told = 1 << iota // that the change waits for its effective_at
	ToldSignIn                   // that the change waits for its agent's sign-in
)

// Effect is a change that took effect.
type Effect struct {
	At    int64 // Unix nanoseconds
	Pos   Position
	ID    string
	Batch string           // its batch_id; empty: none, or an older version of the worker did not record it
	Later bool             // it had waited for its effective_at
	Ended messages.Outcome // its ending; empty: none yet, or an older version of the worker did not record it
}

// SignIn tells one sign-in of an agent from the next.
type SignIn struct {
	At   int64  // the session's signed_in_at in Unix nanoseconds; 0: not given
	Rev  uint64 // revision of the session record at the call
	Call int64  // when the call was made, in Unix nanoseconds
}

// Recent is a message one of whose changes ended lately.
type Recent struct {
	Hash   uint64 // of its Nats-Msg-Id, see [HashID]
	Stored int64  // when the stream stored it, in Unix nanoseconds
}

// Last is what the last result of an agent was about.
type Last struct {
	Pos     Position
	Outcome messages.Outcome
}

// InForce is a policy that the gateway accepted.
type InForce struct {
	Pos    Position
	Seq    uint64 // of the result that says so
	Result messages.Result
}

// SameMessage is how long a message that comes again with the same Nats-Msg-Id is the same message.
const SameMessage = 10 * time.Minute

// maxRecent is how many messages one ledger remembers. The stream itself remembers the IDs of the messages that it holds.
const maxRecent = 16

// Newer reports whether e took effect after f: by instant, then by publication. Immediate changes are ordered by
// publication alone, because the clocks of two servers of the stream may differ.
func (e Effect) Newer(f Effect) bool {
	if !e.Later && !f.Later {
		return e.Pos.Compare(f.Pos) > 0
	}
	return cmp.Or(cmp.Compare(e.At, f.At), e.Pos.Compare(f.Pos)) > 0
}

// Advance records that a result was about the change. If an older version of the worker left out when earlier changes were
// stored, Stored remains unknown until a later position is recorded.
func (l *Ledger) Advance(c Published) {
	if c.Pos.Compare(l.Done) > 0 {
		l.Done = c.Pos
	} else if l.Stored == 0 {
		return
	}
	l.Stored = max(l.Stored, c.Stored)
}

// SameAsRecent reports whether a message with this [HashID], stored at that time (Unix nanoseconds), repeats one that ended
// lately.
func (l *Ledger) SameAsRecent(hash uint64, stored int64) bool {
	return hash != 0 && slices.ContainsFunc(l.Recent, func(r Recent) bool {
		return r.Hash == hash && r.Stored < stored && stored-r.Stored <= int64(SameMessage)
	})
}

// Remember adds a message to the recent ones and forgets those that can no longer matter.
func (l *Ledger) Remember(hash uint64, stored int64) {
	if hash == 0 || slices.Contains(l.Recent, Recent{hash, stored}) {
		return
	}
	kept := make([]Recent, 0, len(l.Recent)+1)
	for _, r := range l.Recent[max(0, len(l.Recent)-maxRecent+1):] {
		if stored-r.Stored <= int64(SameMessage) {
			kept = append(kept, r)
		}
	}
	kept = append(kept, Recent{hash, stored})
	l.Recent = kept
}

// HashID returns what a ledger keeps of a Nats-Msg-Id; 0 for an empty one.
func HashID(id string) uint64 {
	if id == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return max(h.Sum64(), 1)
}

// Ended reports whether the ledger lists the change at p as ended. [Ledger.HasEnded] also looks at what was known before
// the stream was restored.
func (l *Ledger) Ended(p Position) bool {
	_, open := findOpen(l.Open, p)
	return p.Compare(l.Done) <= 0 && !open
}

func findOpen(open []Open, p Position) (int, bool) {
	return slices.BinarySearchFunc(open, p, func(o Open, p Position) int { return o.Pos.Compare(p) })
}
