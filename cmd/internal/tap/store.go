package tap

import (
	"context"
	"errors"
	"time"

	"idlepolicy/messages"
)

// Store is where the records are kept. worker/stream implements it.
type Store interface {
	// Get returns the agent's record.
	Get(ctx context.Context, agent string) (Record, error)

	// Put writes the record, or deletes it if it is Gone, and returns its revision. It returns ErrConflict if the revision
	// of what is stored is not the record's.
	Put(ctx context.Context, agent string, r Record) (rev uint64, err error)

	// Agents returns the agents that have a record, or had one.
	Agents(ctx context.Context) ([]string, error)

	// Ask asks the other taps whether they have seen anything of these agents. Those that have say so to Registry.Heard.
	Ask(ctx context.Context, agents []string) error
}

// ErrConflict is returned if somebody else has written the record meanwhile.
var ErrConflict = errors.New("the record has changed")

// Record is what is stored about an agent's session, with what several taps need to keep one truth. The zero value stands
// for an agent of whom nothing was ever stored.
type Record struct {
	Rev     uint64
	Gone    bool // it was deleted
	Session messages.Session
	Assumed bool      // the session began with the last sign-in that was seen, unless another one was missed
	Since   time.Time // when its writer learned of the GUID, or of the end; zero: no tap wrote it
	Written time.Time // when the server stored it
	Retired []string  // marks of the GUIDs before it
}

// at is when the record came to be true, as far as it is known.
func (rec *Record) at() time.Time {
	if rec.Since.IsZero() {
		return rec.Written
	}
	return rec.Since
}

// isCertain reports whether the session's sign-in was seen.
func (rec *Record) isCertain() bool { return !rec.Assumed && !rec.Session.SignedInAt.IsZero() }

func (rec *Record) live() bool { return rec.Rev > 0 && !rec.Gone }

// record is what has to be stored of the agent.
func (a *agent) record() Record {
	rec := Record{Rev: a.rev, Gone: a.state != present, Since: a.since}
	if rec.Gone {
		return rec
	}
	rec.Session, rec.Assumed = a.session, a.assumed
	for _, m := range a.old {
		rec.Retired = append(rec.Retired, m.String())
	}
	return rec
}
