package tap

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"idlepolicy/messages"
)

// agent is one agent. Its GUID is the only one that is kept as it is.
type agent struct {
	id      string
	state   state
	session messages.Session // the last one that is known
	assumed bool             // it began with the last sign-in that was seen, unless another one was missed
	why     Happening        // that ended it, if it is gone
	since   time.Time        // its GUID came to be known, or the session ended
	proven  time.Time        // when the last request came that showed the GUID and was answered with retcode 0
	old     []mark           // GUIDs before it, the newest last
	rival   string           // a GUID that was given beside the current one, when nobody could tell which is newer
	claim   *claim           // a GUID that the gateway accepts and this tap does not know
	refused time.Time        // first refusal of the current GUID since it was last accepted; zero: none

	seen    *list.Element
	heard   time.Time // last request or answer
	asked   time.Time // when the other taps were asked about the silent agent; zero: they were not
	tunnels int       // connections that were upgraded and are open

	known   bool   // rev is the record's revision, as far as this tap knows
	rev     uint64 // 0: there is no record
	dirty   bool   // the record is not as it has to be
	version int    // counts what happened to the session
	queued  bool   // it is in the queue, being stored, or to be tried again
	again   bool   // something happened while it was being stored
}

// state is where an agent's session stands.
type state int

const (
	unknown state = iota // nothing but a claim, or a record that was not read yet
	present
	gone
)

// claim is a GUID that was accepted although this tap does not know it: the desktop signed in before the tap was started,
// or at another tap.
type claim struct {
	guid    string
	link    string // the GUID that it replaced, if an answer said so
	cookies []string
	proven  time.Time
	at      time.Time
}

// mark stands for a GUID without showing it.
type mark uint64

func markOf(guid string) mark {
	sum := sha256.Sum256([]byte(guid))
	return mark(binary.BigEndian.Uint64(sum[:]))
}

func (m mark) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(m)))
}
