package main

import (
	"context"
	"errors"
	"iter"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

// planStore keeps plans on a site, and counts what it publishes.
type planStore struct {
	desk     *desk.Desk
	bar      *terminal.Progress
	expected desk.Expected // the changes of each message in the stream

	messages, published, duplicates int
}

// LoadPlan implements [plan.Store].
func (s *planStore) LoadPlan(ctx context.Context, name string) ([]plan.Entry, error) {
	has, err := s.desk.Plan(ctx, name)
	all := make([]plan.Entry, len(has))
	for i, e := range has {
		all[i] = plan.Entry(e)
	}
	return all, err
}

// StorePlan implements [plan.Store].
func (s *planStore) StorePlan(ctx context.Context, name string, all []plan.Entry) error {
	entries := make([]desk.PlanEntry, len(all))
	for i, e := range all {
		entries[i] = desk.PlanEntry(e)
	}
	err := s.desk.StorePlan(ctx, name, entries)
	for i, e := range entries {
		all[i].Revision = e.Revision
	}
	if errors.Is(err, desk.ErrPlanChanged) {
		return plan.ErrChanged
	}
	return err
}

// MaxMessage implements [plan.Store].
func (s *planStore) MaxMessage() int { return s.desk.MaxPayload() }

// PublishPlan implements [plan.Store].
func (s *planStore) PublishPlan(ctx context.Context, all iter.Seq[plan.Message]) error {
	s.expected = desk.Expected{}
	var changes, items []int
	publications := func(yield func(desk.Publication) bool) {
		for m := range all {
			changes, items = append(changes, m.Changes), append(items, m.Items)
			if !yield(desk.Publication{ID: m.ID, Body: m.Body, Agents: m.Agents}) {
				return
			}
		}
	}
	return s.desk.Publish(ctx, publications, func(st desk.Stored) {
		s.messages++
		if st.Duplicate {
			s.duplicates++
		} else {
			s.published++
		}
		if n := changes[st.Index]; n > 0 {
			s.expected[st.Seq] = n
		}
		if s.bar != nil {
			s.bar.Add(items[st.Index])
		}
	})
}
