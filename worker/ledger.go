package worker

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"idlepolicy/messages"
)

// Ledger is what the results of one agent tell about its changes. Each result carries it on, so that the last result
// of an agent, read back after any crash, says which of its changes have ended. The zero Ledger is that of an agent
// without results.
type Ledger struct {
	Seq     uint64   // of the agent's last result in the results' stream: what the next compare-and-set expects
	Done    Position // every change up to here has ended, except those in Open
	Open    []Open   // in the order of their positions
	Stored  int64    // when the stream stored the youngest change that results of Done's epoch tell of; 0: not said
	Past    []Past   // what was said of earlier epochs, oldest first
	Newest  Effect   // of the changes that took effect, the one that took effect last
	SignIn  SignIn   // for which the gateway was last told a policy
	Recent  []Recent // message IDs of the last few endings, oldest first
	Last    Last     // what the last result was about
	InForce *InForce // the last policy that the gateway accepted; nil: none is known
}

// Position tells any two changes apart and orders them as they were published. A stream that was deleted or restored
// starts its sequences anew, so its creation time comes first.
type Position struct {
	Epoch int64  // creation of the changes' stream, in Unix nanoseconds, or what counts for it
	Seq   uint64 // of the message in that stream
	Index int    // of the change in its message
}

// Open is a change below Done that has not ended, with what has been told of it.
type Open struct {
	Pos  Position
	Told Told
	Rev  uint64 // revision of the session that the gateway did not know; 0: none
}

// Told says which waiting results a change has had, so that a new owner does not tell them again.
type Told uint8

// What may have been told.
const (
	ToldInstant Told = 1 << iota // that it waits for its effective_at
	ToldSignIn                   // that it waits for its agent's sign-in
)

// Effect is a change that took effect.
type Effect struct {
	At    int64 // Unix nanoseconds
	Pos   Position
	ID    string
	Later bool // it had waited for its effective_at
}

// SignIn tells one sign-in of an agent from the next.
type SignIn struct {
	At   int64  // the session's signed_in_at in Unix nanoseconds; 0: not said
	Rev  uint64 // revision of the session record at the call
	Call int64  // when the call was made, in Unix nanoseconds
}

// Recent is the ID of a message that ended lately.
type Recent struct {
	Hash   uint64 // of its Nats-Msg-Id
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

// The window in which a message that comes again with the same Nats-Msg-Id is the same message, and how many the
// ledger of one agent keeps. The stream itself remembers the IDs of what it still holds.
const (
	SameMessage = 10 * time.Minute
	maxRecent   = 16
)

// Compare orders positions as their changes were published.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Seq, q.Seq), cmp.Compare(p.Index, q.Index))
}

// String returns the position as it stands in message IDs.
func (p Position) String() string {
	b := strconv.AppendInt(make([]byte, 0, 32), p.Epoch, 36)
	b = strconv.AppendUint(append(b, '.'), p.Seq, 36)
	return string(strconv.AppendInt(append(b, '.'), int64(p.Index), 36))
}

// newer tells whether e took effect after f: by instant, then by publication. Immediate changes are ordered by
// publication alone, because the clocks of two servers of the stream may differ.
func (e Effect) newer(f Effect) bool {
	if !e.Later && !f.Later {
		return e.Pos.Compare(f.Pos) > 0
	}
	return cmp.Or(cmp.Compare(e.At, f.At), e.Pos.Compare(f.Pos)) > 0
}

// Ended tells whether the change at p has had its ending.
func (l *Ledger) Ended(p Position) bool {
	_, open := l.open(p)
	return p.Compare(l.Done) <= 0 && !open
}

func (l *Ledger) open(p Position) (Open, bool) {
	i, ok := findOpen(l.Open, p)
	if !ok {
		return Open{}, false
	}
	return l.Open[i], true
}

func findOpen(open []Open, p Position) (int, bool) {
	return slices.BinarySearchFunc(open, p, func(o Open, p Position) int { return o.Pos.Compare(p) })
}

// SameAsRecent tells whether a message with this ID, stored then, is one that ended lately and came again.
func (l *Ledger) SameAsRecent(hash uint64, stored int64) bool {
	return hash != 0 && slices.ContainsFunc(l.Recent, func(r Recent) bool {
		return r.Hash == hash && r.Stored < stored && stored-r.Stored <= int64(SameMessage)
	})
}

// remember adds a message's ID to the recent ones and lets go of those that can no longer matter.
func (l *Ledger) remember(hash uint64, stored int64) {
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

// HashID returns what the ledger keeps of a Nats-Msg-Id; 0 for none.
func HashID(id string) uint64 {
	if id == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return max(h.Sum64(), 1)
}

// The ledger's text is one line of fields, each a letter, "=", and numbers in base 36 parted by dots; lists are parted
// by commas. The first field is the version of the format.
const ledgerVersion = "v=1"

// AppendText appends the ledger as it stands in a result's header. Seq, Last and InForce are not in it: the result says
// them itself.
func (l *Ledger) AppendText(b []byte) ([]byte, error) {
	b = append(b, ledgerVersion...)
	b = appendPos(append(b, " d="...), l.Done)
	if l.Newest != (Effect{}) {
		b = appendPos(append(b, " n="...), l.Newest.Pos)
		b = appendNum(b, l.Newest.At)
		b = append(b, '.', "il"[number(l.Newest.Later)], '.')
		b = append(b, url.QueryEscape(l.Newest.ID)...)
	}
	if l.SignIn != (SignIn{}) {
		b = strconv.AppendInt(append(b, " s="...), l.SignIn.At, 36)
		b = appendNum(appendNum(b, int64(l.SignIn.Rev)), l.SignIn.Call)
	}
	for i, r := range l.Recent {
		b = append(b, [...]string{" r=", ","}[min(i, 1)]...)
		b = appendNum(strconv.AppendUint(b, r.Hash, 36), r.Stored)
	}
	for i, o := range l.Open {
		b = append(b, [...]string{" o=", ","}[min(i, 1)]...)
		b = appendNum(strconv.AppendUint(b, o.Pos.Seq, 36), int64(o.Pos.Index))
		b = appendNum(appendNum(b, int64(o.Told)), int64(o.Rev))
	}
	if l.Stored != 0 {
		b = strconv.AppendInt(append(b, " t="...), l.Stored, 36)
	}
	for i := range l.Past {
		b = append(b, [...]string{" p=", ","}[min(i, 1)]...)
		b = appendPast(b, &l.Past[i])
	}
	return b, nil
}

// number is 1 for true.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func appendPos(b []byte, p Position) []byte {
	return appendNum(appendNum(strconv.AppendInt(b, p.Epoch, 36), int64(p.Seq)), int64(p.Index))
}

func appendNum(b []byte, n int64) []byte {
	return strconv.AppendInt(append(b, '.'), n, 36)
}

// UnmarshalText reads what AppendText wrote. It fails on a format of a later version, which an older worker must not
// touch, and on anything else.
func (l *Ledger) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) == 0 || fields[0] != ledgerVersion {
		return fmt.Errorf("ledger of a version other than %q: a newer worker wrote it", ledgerVersion)
	}
	*l = Ledger{}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		if err := l.readField(name, value); err != nil {
			return fmt.Errorf("ledger field %q: %w", name, err)
		}
	}
	return nil
}

var errNumbers = errors.New("wrong count of numbers")

func (l *Ledger) readField(name, value string) error {
	switch name {
	case "d":
		n, err := numbers(value, 3)
		l.Done = position(n)
		return err
	case "n":
		return l.Newest.read(value)
	case "s":
		n, err := numbers(value, 3)
		l.SignIn = SignIn{At: n[0], Rev: uint64(n[1]), Call: n[2]}
		return err
	case "r":
		for r := range strings.SplitSeq(value, ",") {
			hash, stored, _ := strings.Cut(r, ".")
			h, err := strconv.ParseUint(hash, 36, 64)
			n, err2 := numbers(stored, 1)
			if err = errors.Join(err, err2); err != nil {
				return err
			}
			l.Recent = append(l.Recent, Recent{h, n[0]})
		}
	case "o":
		for o := range strings.SplitSeq(value, ",") {
			n, err := numbers(o, 4)
			if err != nil {
				return err
			}
			pos := Position{l.Done.Epoch, uint64(n[0]), int(n[1])}
			l.Open = append(l.Open, Open{pos, Told(n[2]), uint64(n[3])})
		}
	case "t":
		n, err := numbers(value, 1)
		l.Stored = n[0]
		return err
	case "p":
		for text := range strings.SplitSeq(value, ",") {
			p, err := readPast(text)
			if err != nil {
				return err
			}
			l.Past = append(l.Past, p)
		}
	}
	return nil // a field of a later minor change: not ours to judge
}

func (e *Effect) read(value string) error {
	parts := strings.SplitN(value, ".", 6)
	if len(parts) != 6 {
		return errNumbers
	}
	n, err := numbers(strings.Join(parts[:4], "."), 4)
	id, err2 := url.QueryUnescape(parts[5])
	*e = Effect{At: n[3], Pos: position(n), ID: id, Later: parts[4] == "l"}
	return errors.Join(err, err2)
}

func position(n []int64) Position {
	return Position{n[0], uint64(n[1]), int(n[2])}
}

// numbers reads exactly want numbers; the slice has that length also where it fails.
func numbers(s string, want int) ([]int64, error) {
	n := make([]int64, want)
	parts := strings.Split(s, ".")
	if len(parts) != want {
		return n, errNumbers
	}
	for i, p := range parts {
		v, err := strconv.ParseInt(p, 36, 64)
		if err != nil {
			return n, err
		}
		n[i] = v
	}
	return n, nil
}
