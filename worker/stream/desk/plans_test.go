package desk_test

import (
	"errors"
	"strconv"
	"testing"

	"idlepolicy/worker/stream/desk"
)

// What is stored of a plan is read back with its revisions; who has an old revision is told.
func TestPlanIsStoredByRevision(t *testing.T) {
	d, _ := newSite(t)
	all, err := d.Plan(t.Context(), "vienna")
	if err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	entries := make([]desk.PlanEntry, 2500)
	for i := range entries {
		entries[i] = desk.PlanEntry{Key: strconv.Itoa(1000 + i), Value: []byte{1, byte(i)}}
	}
	if err := d.StorePlan(t.Context(), "vienna", entries); err != nil {
		t.Fatal(err)
	}
	if err := d.StorePlan(t.Context(), "graz", []desk.PlanEntry{{Key: "1000", Value: []byte("other")}}); err != nil {
		t.Fatal(err)
	}
	entries[7].Value = nil
	if err := d.StorePlan(t.Context(), "vienna", entries[7:8]); err != nil {
		t.Fatal(err)
	}
	all, err = d.Plan(t.Context(), "vienna")
	if err != nil || len(all) != len(entries) {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for _, e := range all {
		if e.Key == "1007" && (e.Value != nil || e.Revision != entries[7].Revision) || e.Key == "1008" && e.Value[1] != 8 {
			t.Errorf("entry %+v", e)
		}
	}
	// The same bytes again are what a repeated write meets; others are somebody else's.
	old := entries[9]
	old.Revision = 0
	if err := d.StorePlan(t.Context(), "vienna", []desk.PlanEntry{old}); err != nil {
		t.Errorf("the same value again: %v", err)
	}
	old.Value, old.Revision = []byte("mine"), 0
	if err := d.StorePlan(t.Context(), "vienna", []desk.PlanEntry{old}); !errors.Is(err, desk.ErrPlanChanged) {
		t.Errorf("an old revision: %v", err)
	}
}
