package desk_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
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

// The bucket is created by whoever applies the first plan, in an account with limits too.
func TestPlansInAnAccountWithLimits(t *testing.T) {
	const size = 10 << 20
	for _, test := range []struct {
		name, limits string
		size         int64  // max_bytes of the other streams
		fails        string // how; empty: it is created
	}{
		{"max_bytes required", "max_file: 1GB, max_bytes: true", size, ""},
		{"no room for a seventh", "max_file: 65MB, max_bytes: true", size, "raise the account's max_file"},
		{"no seventh stream", "max_file: 1GB, max_streams: 6", 0, "raise the account's max_streams"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := natstest.StartConfig(t, `jetstream { store_dir: STORE, max_file_store: 2GB }
				accounts { A: { jetstream: { `+test.limits+` }, users: [{ user: u, password: p }] } }, no_auth_user: u`).ClientURL()
			js := natstest.JetStream(t, natstest.Connect(t, url))
			layout := stream.Layout{Names: names, MaxBytes: test.size, Retention: time.Hour, Takeover: 3 * time.Second}
			if _, err := layout.Ensure(t.Context(), js); err != nil {
				t.Fatal(err)
			}
			err := open(t, url).StorePlan(t.Context(), "vienna", []desk.PlanEntry{{Key: "1001", Value: []byte("1")}})
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), "create bucket site_b_plans") || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("it ends with %v, want %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			made, err := js.Stream(t.Context(), "KV_"+names.PlansBucket())
			if err != nil || made.CachedInfo().Config.MaxBytes != test.size {
				t.Errorf("the bucket is %+v, %v", made, err)
			}
		})
	}
}
