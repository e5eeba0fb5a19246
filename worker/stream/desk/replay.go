package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// Replay is a dead letter that is to be published again.
type Replay struct {
	Letter Letter
	ID     string // of the new change; names the old one
	Body   []byte
	Seq    uint64 // once it is published

	msgID string // by which the server knows it again; of its own where an operator insists
}

// Refused is the error if a dead letter is not replayed. Forceable reports whether an operator may insist.
type Refused struct {
	Why       string
	Forceable bool
}

// Error returns the reason.
func (r *Refused) Error() string { return r.Why }

func randomText() string { return strings.ToLower(rand.Text()) }

// checkAgain refuses if the last replay failed too: the letter of that one is to be replayed.
func (d *Desk) checkAgain(ctx context.Context, r Replay) error {
	last, err := d.LastLetter(ctx, r.Letter.Agent)
	switch {
	case errors.Is(err, ErrNoLetter): // purged just now
		return nil
	case err != nil:
		return err
	case last.Result.ChangeID == r.ID:
		return &Refused{fmt.Sprintf("its replay failed too: that is dead letter %d, to be replayed in its place", last.Seq), true}
	}
	return nil
}

// Replay publishes a planned replay, which is a new change with its own ending. The server stores repeated calls once within its
// duplicate window, unless the plan was forced.
func (d *Desk) Replay(ctx context.Context, r *Replay) error {
	m := d.change(Publication{ID: r.msgID, Body: r.Body})
	traceHeaders(m.Header, r.Letter.Original())
	ack, err := d.js.PublishMsg(ctx, m)
	if err != nil {
		return d.trouble("publish the replay", "stream "+d.names.ChangesStream(), err)
	}
	if r.Seq = ack.Sequence; ack.Duplicate {
		return &Refused{"it was replayed a few minutes ago: idlectl explain " + r.Letter.Agent + " tells what became of that", true}
	}
	return nil
}

// traceHeaders copies the trace context if it is valid. All other headers of the original are left out: their content is in the new
// message, or they mean something to a server or a client.
func traceHeaders(to, original nats.Header) {
	parent, state := original.Get(messages.TraceParentHeader), original.Get(messages.TraceStateHeader)
	if !messages.ValidTraceParent(parent) {
		return
	}
	to.Set(messages.TraceParentHeader, parent)
	if messages.ValidTraceState(state) {
		to.Set(messages.TraceStateHeader, state)
	}
}

// readLetter returns the one change that a dead letter holds.
func readLetter(l Letter) (messages.Change, error) {
	refuse := func(format string, a ...any) (messages.Change, error) {
		return messages.Change{}, &Refused{fmt.Sprintf(format, a...), false}
	}
	if l.Cut() {
		return refuse("the original did not fit and was cut")
	}
	m := messages.Decode(l.Body, l.Result.ChangeID)
	switch {
	case len(m.Rejected) > 0:
		return refuse("its original cannot be used: %s", m.Rejected[0].Message)
	case len(m.Changes) != 1:
		return refuse("its original holds %d changes, not one", len(m.Changes))
	case m.Changes[0].Cancel:
		return refuse("its original withdraws a change instead of being one")
	case m.Changes[0].AgentID != l.Agent:
		return refuse("its original is about agent %s, the letter about agent %s", m.Changes[0].AgentID, l.Agent)
	}
	return m.Changes[0], nil
}

// maxID is how long a change's id may be.
const maxID = 128

// replayOf begins the name of a replay, and of a replay of one as older versions have named it.
var replayOf = regexp.MustCompile(`^(replay-\d+-of-)+(.)`)

// replayID returns the id of a replay. It contains the id of the first change, even if a replay is replayed: otherwise it would grow
// until that one is cut off.
func replayID(l Letter) string {
	id := fmt.Sprintf("replay-%d-of-%s", l.Seq, replayOf.ReplaceAllString(l.Result.ChangeID, "$2"))
	for len(id) > maxID {
		_, size := utf8.DecodeLastRuneInString(id)
		id = id[:len(id)-size]
	}
	return id
}

// replayBody returns the change as a message of its own. It leaves out the batch, which has its summary already: a new batch with the
// old total would never end.
func replayBody(c messages.Change, id string) ([]byte, error) {
	return json.Marshal(struct {
		AgentID     string    `json:"agent_id"`
		Flag        string    `json:"flag"`
		ID          string    `json:"id"`
		EffectiveAt time.Time `json:"effective_at,omitzero"`
		ValidUntil  time.Time `json:"valid_until,omitzero"`
		Reason      string    `json:"reason,omitempty"`
		Source      string    `json:"source,omitempty"`
	}{c.AgentID, c.Flag, id, c.EffectiveAt, c.ValidUntil, c.Reason, c.Source})
}

// checkNewer refuses if a newer change of the agent was applied or is unfinished.
func (d *Desk) checkNewer(ctx context.Context, l Letter) error {
	applied, err := d.InForce(ctx, l.Result.AgentID)
	if err != nil {
		return err
	}
	if err := newerApplied(applied, l); err != nil {
		return err
	}
	view, err := d.Explain(ctx, l.Result.AgentID)
	var declined *Declined
	switch {
	case errors.Is(err, ErrNoWorker), errors.As(err, &declined):
		return nil // what is unfinished is in the stream: it decides when the worker is back
	case err != nil:
		return err
	case view.Live != nil:
		return &Refused{fmt.Sprintf("the newer change %s of agent %s is under way", view.Live.ID, l.Result.AgentID), true}
	}
	return newerApplied(view.InForce, l) // the bucket follows the results a moment later
}

func newerApplied(applied *messages.Result, l Letter) error {
	if applied == nil || !isNewer(*applied, l.Result) {
		return nil
	}
	return &Refused{fmt.Sprintf("the newer change %s of agent %s has been applied since", applied.ChangeID, applied.AgentID), true}
}

func isNewer(a, b messages.Result) bool { return compareEffect(a, b) > 0 }

// compareEffect compares when two changes took effect. The order of publication breaks ties, as in the worker.
func compareEffect(a, b messages.Result) int {
	return cmp.Or(effect(a).Compare(effect(b)), cmp.Compare(a.ChangeSeq, b.ChangeSeq), cmp.Compare(a.ChangeIndex, b.ChangeIndex))
}

func effect(r messages.Result) time.Time {
	if r.EffectiveAt.IsZero() {
		return r.ReceivedAt
	}
	return r.EffectiveAt
}
