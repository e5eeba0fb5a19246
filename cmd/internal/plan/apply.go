package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Store is where plans are kept and published. Whatever it returns an error about may have happened all the same.
type Store interface {
	// LoadPlan returns what is stored under a name.
	LoadPlan(ctx context.Context, name string) ([]Entry, error)
	// StorePlan stores entries, sets their new revisions, and returns an error that wraps ErrChanged if a revision was not
	// the last one.
	StorePlan(ctx context.Context, name string, all []Entry) error
	// MaxMessage returns how many bytes a message may have, with its headers.
	MaxMessage() int
	// PublishPlan publishes messages in this order and returns once all of them are stored.
	PublishPlan(ctx context.Context, all iter.Seq[Message]) error
}

// Entry is a value that is stored for a plan.
type Entry struct {
	Key      string // the agent, or Head
	Value    []byte // nothing: deleted
	Revision uint64 // 0: there was none
}

// Head is the key of what is stored about a plan as a whole.
const Head = "head"

// Message is one message to publish.
type Message struct {
	ID      string
	Body    []byte
	Agents  []string
	Items   int
	Changes int // of the items, those that are not withdrawals
}

// ErrChanged is returned if somebody else has applied the same plan at the same time.
var ErrChanged = errors.New("somebody else has applied this plan in the meantime: look at the difference again")

// ErrBusy is returned if somebody else is applying the same plan.
var ErrBusy = errors.New("the plan is being applied")

// head is what is stored about a plan as a whole.
type head struct {
	Version    int       `json:"v"`
	Generation int       `json:"generation"` // how often the plan was applied
	By         string    `json:"by"`
	At         time.Time `json:"at"`
	Pending    *pending  `json:"pending,omitempty"` // nil: the last run came to its end
}

// pending is a run that has not come to its end.
type pending struct {
	Batch  string    `json:"batch"`
	Diff   string    `json:"diff"` // a hash of what it publishes, and in messages of which size
	Plan   string    `json:"plan"` // a hash of what it wants
	At     time.Time `json:"at"`
	Stored bool      `json:"stored"` // the stream has all of it
}

const (
	headVersion = 1
	// sameID is how long the stream takes a message ID for the same message, with a margin.
	sameID = 9 * time.Minute
	// busyFor is how long a run of somebody else is believed to last.
	busyFor = 30 * time.Second
)

// State is what is stored about one plan.
type State struct {
	Records   map[string]Record
	head      head
	headAt    uint64
	revisions map[string]uint64
}

// Load reads what is stored about a plan.
func Load(ctx context.Context, s Store, name string) (*State, error) {
	all, err := s.LoadPlan(ctx, name)
	if err != nil {
		return nil, err
	}
	st := &State{Records: make(map[string]Record, len(all)), revisions: make(map[string]uint64, len(all))}
	for _, one := range all {
		switch key := one.Key; {
		case key == Head:
			st.headAt = one.Revision
			if len(one.Value) > 0 {
				err = json.Unmarshal(one.Value, &st.head)
			}
			if err != nil || st.head.Version > headVersion {
				return nil, errRecord
			}
		case len(one.Value) > 0:
			if st.Records[key], err = DecodeRecord(one.Value); err != nil {
				return nil, fmt.Errorf("agent %s: %w", key, err)
			}
			fallthrough
		default:
			st.revisions[key] = one.Revision
		}
	}
	return st, nil
}

// Last returns who applied the plan last, and when; "" if nobody has.
func (s *State) Last() (by string, at time.Time) { return s.head.By, s.head.At }

// Apply publishes a difference and records it. It may be interrupted at any point, and repeated with the same or another
// schedule: what is about to be published is recorded first, so that the next run knows what the stream may have. It
// returns the batch, or "" if nothing but withdrawals was published, or everything had been by a run that was interrupted.
func Apply(ctx context.Context, s Store, p *Plan, st *State, d *Diff, by string, now time.Time) (batch string, err error) {
	r, err := newRun(s, p, st, d, by, now)
	if err != nil {
		return "", err
	}
	if err := r.storeHead(ctx); err != nil {
		return "", err
	}
	if !r.next.Pending.Stored {
		if err := r.announce(ctx); err != nil {
			return "", err
		}
		if err := s.PublishPlan(ctx, d.messages(p.Name, r.next.Pending.Batch, mostIn(s))); err != nil {
			return "", err
		}
		if d.Changes() > 0 {
			batch = r.next.Pending.Batch
		}
		r.next.Pending.Stored = true
		if err := r.storeHead(ctx); err != nil {
			return batch, err
		}
	}
	if err := r.record(ctx); err != nil {
		return batch, err
	}
	r.next.Pending = nil
	r.next.Generation++
	return batch, r.storeHead(ctx)
}

// run is one application.
type run struct {
	store Store
	plan  *Plan
	state *State
	diff  *Diff
	next  head
}

func newRun(s Store, p *Plan, st *State, d *Diff, by string, now time.Time) (*run, error) {
	r := &run{store: s, plan: p, state: st, diff: d, next: st.head}
	r.next.Version, r.next.By, r.next.At = headVersion, by, now.UTC()
	mine := pending{Diff: d.hash(mostIn(s)), Plan: p.hash(), At: now.UTC()}
	last := st.head.Pending
	switch {
	case last != nil && last.Plan == mine.Plan && last.Stored:
		mine = *last // everything is in the stream: only the records are missing
	case last != nil && last.Diff == mine.Diff && now.Sub(last.At) < sameID:
		mine = *last // the stream knows what it has of this batch
	case last != nil && st.head.By != by && now.Sub(last.At) < busyFor:
		return nil, fmt.Errorf("%w by %s since %s: wait for it, or try again in half a minute", ErrBusy, st.head.By, last.At.Format(time.RFC3339))
	default:
		mine.Batch = fmt.Sprintf("%s-%d-%.8s", p.Name, st.head.Generation+1, hashOf(mine.Diff, mine.At.String()))
	}
	r.next.Pending = &mine
	return r, nil
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hash tells differences apart, and their messages: the stream takes one with the ID of an earlier one for the same.
func (d *Diff) hash(most int) string {
	h := sha256.New()
	fmt.Fprintln(h, most)
	for i := range d.All {
		one := &d.All[i]
		fmt.Fprintf(h, "%s %t %d %d %q %q\n", one.Agent, one.Action == Withdraw, one.Step.Start, one.Step.End, one.Step.Flag, one.Step.Activity)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hash tells plans apart by what they want.
func (p *Plan) hash() string {
	h := sha256.New()
	fmt.Fprintln(h, p.From, p.Until)
	for _, agent := range slices.Sorted(maps.Keys(p.Agents)) {
		h.Write([]byte(agent))
		h.Write(Record{Steps: p.Agents[agent]}.Encode())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (r *run) storeHead(ctx context.Context) error {
	text, err := json.Marshal(r.next)
	if err != nil {
		return err
	}
	one := []Entry{{Head, text, r.state.headAt}}
	err = r.store.StorePlan(ctx, r.plan.Name, one)
	r.state.headAt = one[0].Revision
	return err
}

// announce records which steps are about to be published or withdrawn, beside what was applied before.
func (r *run) announce(ctx context.Context) error {
	maybe := map[string][]int64{}
	for i := range r.diff.All {
		one := &r.diff.All[i]
		maybe[one.Agent] = append(maybe[one.Agent], one.Step.Start)
	}
	values := make(map[string][]byte, len(maybe))
	for agent, starts := range maybe {
		has := r.state.Records[agent]
		starts = append(starts, has.Maybe...)
		slices.Sort(starts)
		values[agent] = Record{has.Steps, slices.Compact(starts)}.Encode()
	}
	return r.storeRecords(ctx, values)
}

// record records what the stream has stored.
func (r *run) record(ctx context.Context) error {
	values := make(map[string][]byte, len(r.diff.records))
	for agent, has := range r.diff.records {
		if len(has.Steps) > 0 {
			values[agent] = has.Encode()
		} else {
			values[agent] = nil
		}
	}
	return r.storeRecords(ctx, values)
}

func (r *run) storeRecords(ctx context.Context, values map[string][]byte) error {
	all := make([]Entry, 0, len(values))
	for _, agent := range slices.Sorted(maps.Keys(values)) {
		if revision := r.state.revisions[agent]; revision > 0 || values[agent] != nil {
			all = append(all, Entry{agent, values[agent], revision})
		}
	}
	err := r.store.StorePlan(ctx, r.plan.Name, all)
	for _, one := range all {
		r.state.revisions[one.Key] = one.Revision
	}
	return err
}
