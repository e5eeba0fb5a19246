package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/steps"
	"idlepolicy/messages"
)

// store is a site in memory: what the stream holds after everything that was published, and what is recorded. It dies at one
// of its operations, before or after that operation took effect.
type store struct {
	t         *testing.T
	ids       map[string]bool // that the stream knows
	waiting   map[string]messages.Change
	published int
	bodies    []plan.Message // that were published
	batches   map[string]int // changes that came in, by batch
	totals    map[string]int
	entries   map[string]plan.Entry
	revision  uint64

	left int // operations until it dies; negative: never
	late bool
}

var errDied = errors.New("killed")

func newStore(t *testing.T) *store {
	t.Helper()
	return &store{
		t: t, ids: map[string]bool{}, waiting: map[string]messages.Change{}, entries: map[string]plan.Entry{}, left: -1,
		batches: map[string]int{}, totals: map[string]int{},
	}
}

// operate does one operation, unless the process dies before it.
func (s *store) operate(do func() error) error {
	if s.left == 0 {
		if s.late {
			_ = do()
		}
		return errDied
	}
	s.left--
	return do()
}

func (s *store) LoadPlan(_ context.Context, name string) ([]plan.Entry, error) {
	return slices.Collect(maps.Values(s.entries)), nil
}

func (s *store) StorePlan(_ context.Context, _ string, all []plan.Entry) error {
	for i := range all {
		err := s.operate(func() error {
			e := &all[i]
			if s.entries[e.Key].Revision != e.Revision {
				return plan.ErrChanged
			}
			s.revision++
			e.Revision = s.revision
			s.entries[e.Key] = *e
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *store) MaxMessage() int { return 1 << 20 }

func (s *store) PublishPlan(_ context.Context, all iter.Seq[plan.Message]) error {
	for m := range all {
		err := s.operate(func() error {
			if !s.ids[m.ID] {
				s.publish(m)
			}
			s.ids[m.ID] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *store) publish(m plan.Message) {
	s.bodies = append(s.bodies, m)
	decoded := messages.Decode(m.Body, m.ID)
	if len(decoded.Rejected) > 0 {
		s.t.Fatalf("the worker would reject %+v", decoded.Rejected)
	}
	changes := 0
	for _, c := range decoded.Changes {
		s.published++
		if c.Cancel {
			delete(s.waiting, c.ID)
			continue
		}
		changes++
		s.batches[c.BatchID]++
		s.totals[c.BatchID] = c.BatchTotal
		c.BatchID, c.BatchTotal, c.Index = "", 0, 0
		s.waiting[c.ID] = c
	}
	if changes != m.Changes {
		s.t.Fatalf("%d changes in a message, said to be %d", changes, m.Changes)
	}
}

// apply is one run of the tool.
func (s *store) apply(p *plan.Plan, now time.Time) error {
	state, err := plan.Load(s.t.Context(), s, p.Name)
	if err != nil {
		return err
	}
	d := plan.Compare(p, state.Records, now)
	if d.IsEmpty() {
		return nil
	}
	_, err = plan.Apply(s.t.Context(), s, p, state, d, "me@here", now)
	return err
}

// records returns what is recorded, as text.
func (s *store) records() string {
	var all []string
	for key, e := range s.entries {
		if key == plan.Head || len(e.Value) == 0 {
			continue
		}
		r, err := plan.DecodeRecord(e.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, fmt.Sprintln(key, r.Steps, r.Maybe))
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

// wants checks that exactly the steps of a plan wait in the stream.
func (s *store) wants(p *plan.Plan, now time.Time) {
	s.t.Helper()
	n := 0
	for agent, all := range p.Agents {
		for _, step := range all {
			if step.Start <= now.Unix() {
				continue
			}
			n++
			c, ok := s.waiting[plan.ChangeID(p.Name, agent, step.Start)]
			end := int64(steps.Open)
			if !c.ValidUntil.IsZero() {
				end = c.ValidUntil.Unix()
			}
			if !ok || c.AgentID != agent || c.Flag != step.Flag || c.EffectiveAt.Unix() != step.Start || end != step.End || c.Reason != step.Activity {
				s.t.Fatalf("step %+v of agent %s: waiting is %+v", step, agent, c)
			}
		}
	}
	if n != len(s.waiting) {
		s.t.Fatalf("%d changes wait, and %d are wanted", len(s.waiting), n)
	}
}

const applyAt = 4_000_000_000

// randomPlan is a schedule of some agents, all of it ahead.
func randomPlan(seed uint64) *plan.Plan {
	r := rand.New(rand.NewPCG(seed, 7))
	p := &plan.Plan{Name: "p", Agents: map[string][]steps.Step{}, From: -1 << 62, Until: 1 << 62}
	for agent := range 40 {
		if r.IntN(8) == 0 {
			continue
		}
		var all []steps.Interval
		for range 1 + r.IntN(4) {
			start := int64(applyAt + 86400 + r.IntN(20)*3600)
			all = append(all, steps.Interval{Start: start, End: start + int64(1+r.IntN(5))*3600, Flag: []string{"true", "false"}[r.IntN(2)], Activity: "x"})
		}
		p.Agents[strconv.Itoa(1001+agent)] = steps.Overlay(all, []string{"", "false"}[r.IntN(2)])
	}
	return p
}

func TestApply(t *testing.T) {
	now := time.Unix(applyAt, 0)
	s := newStore(t)
	for seed := range uint64(30) {
		p := randomPlan(seed)
		if err := s.apply(p, now); err != nil {
			t.Fatal(err)
		}
		s.wants(p, now)
		published := s.published
		if err := s.apply(p, now); err != nil || s.published != published {
			t.Fatalf("applied again: %v, %d changes more", err, s.published-published)
		}
	}
	for batch, total := range s.totals {
		if s.batches[batch] != total {
			t.Errorf("batch %s has %d of %d changes", batch, s.batches[batch], total)
		}
	}
}

// Killed at any point and repeated, it ends as if it had not been killed: with the same schedule or another one, soon or
// when the stream has forgotten the messages.
func TestApplyKilledAtAnyPoint(t *testing.T) {
	const points = 50
	for seed := range uint64(points) {
		r := rand.New(rand.NewPCG(seed, 3))
		now := time.Unix(applyAt, 0)
		first, second := randomPlan(seed), randomPlan(seed+1000)
		s := newStore(t)
		if err := s.apply(first, now); err != nil {
			t.Fatal(err)
		}
		unkilled := newStore(t)
		for _, p := range []*plan.Plan{first, second} {
			if err := unkilled.apply(p, now); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + r.IntN(3) {
			s.left, s.late = r.IntN(100), r.IntN(2) == 0
			if err := s.apply(second, now); err != nil && !errors.Is(err, errDied) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s.left = -1
			if r.IntN(3) == 0 { // the stream forgets message IDs
				now = now.Add(11 * time.Minute)
				s.ids = map[string]bool{}
			}
			if r.IntN(4) == 0 { // somebody applies another schedule in between
				other := randomPlan(seed + 2000)
				if err := s.apply(other, now); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				s.wants(other, now)
			}
		}
		if err := s.apply(second, now); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		s.wants(second, now)
		if !maps.Equal(s.waiting, unkilled.waiting) || s.records() != unkilled.records() {
			t.Fatalf("seed %d: waiting %d, not %d; records\n%s\nnot\n%s", seed, len(s.waiting), len(unkilled.waiting), s.records(), unkilled.records())
		}
	}
}

// A run that was killed soon after its beginning goes on with its own batch, which is complete in the end.
func TestApplyGoesOnWithItsBatch(t *testing.T) {
	now := time.Unix(applyAt, 0)
	p := randomPlan(5)
	for n := range 120 {
		s := newStore(t)
		s.left = n
		if err := s.apply(p, now); !errors.Is(err, errDied) && err != nil {
			t.Fatal(err)
		}
		s.left = -1
		if err := s.apply(p, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if len(s.batches) != 1 {
			t.Fatalf("killed at %d: batches %v", n, s.batches)
		}
		for batch, total := range s.totals {
			if s.batches[batch] != total {
				t.Fatalf("killed at %d: batch %s has %d of %d changes", n, batch, s.batches[batch], total)
			}
		}
		s.wants(p, now)
	}
}

// Two who apply the same plan at once are told.
func TestApplyByTwo(t *testing.T) {
	now := time.Unix(applyAt, 0)
	s := newStore(t)
	p, q := randomPlan(1), randomPlan(2)
	state, err := plan.Load(t.Context(), s, "p")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.apply(q, now); err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(t.Context(), s, p, state, plan.Compare(p, state.Records, now), "other@there", now); !errors.Is(err, plan.ErrChanged) {
		t.Errorf("what somebody else has applied in the meantime: %v", err)
	}
	s.left = 60
	_ = s.apply(p, now)
	s.left = -1
	if state, err = plan.Load(t.Context(), s, "p"); err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(t.Context(), s, q, state, plan.Compare(q, state.Records, now), "other@there", now); !errors.Is(err, plan.ErrBusy) {
		t.Errorf("while somebody else applies: %v", err)
	}
	if _, err := plan.Apply(t.Context(), s, q, state, plan.Compare(q, state.Records, now), "other@there", now.Add(time.Minute)); err != nil {
		t.Errorf("after somebody else was killed: %v", err)
	}
}

func step(start, end int64, flag, activity string) steps.Step {
	return steps.Step{Start: start, End: end, Flag: flag, Activity: activity}
}

func TestCompare(t *testing.T) {
	now := time.Unix(1000, 0)
	p := &plan.Plan{Name: "p", From: 0, Until: 5000, Agents: map[string][]steps.Step{
		"1001": {step(500, 900, "true", "past"), step(900, 1500, "true", "now"), step(1500, 2000, "false", "x"), step(6000, 7000, "true", "outside")},
	}}
	has := map[string]plan.Record{
		"1001": {Steps: []steps.Step{step(900, 1600, "true", "now"), step(1600, 2000, "false", "x"), step(5500, 6000, "true", "outside")}},
		"1002": {Steps: []steps.Step{step(800, 1200, "true", "begun"), step(1200, 1300, "true", "gone")}},
	}
	var got []string
	for _, d := range plan.Compare(p, has, now).All {
		got = append(got, fmt.Sprint(d.Agent, " ", d.Action, " ", d.Step.Start))
	}
	want := []string{"1001 change 900", "1001 add 1500", "1001 withdraw 1600", "1002 withdraw 1200"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(plan.Record{Steps: []steps.Step{step(1, 2, "true", "x"), step(5, steps.Open, "false", "y")}, Maybe: []int64{5, 9}}.Encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := plan.DecodeRecord(data)
		if err != nil {
			return
		}
		again, err := plan.DecodeRecord(r.Encode())
		a, _ := json.Marshal(r)
		b, _ := json.Marshal(again)
		if err != nil || string(a) != string(b) {
			t.Errorf("%s became %s (%v)", a, b, err)
		}
	})
}
