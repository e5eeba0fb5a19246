package main

import (
	"encoding/json"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

// Sites are found whatever prefix they have, and none of them hides another.
func TestSites(t *testing.T) {
	s := emptySite(t)
	s.run("sites").want(t, statusUnreachable, "no site on ")
	for _, prefix := range []string{"south", "centre.1", "north_2"} {
		layout := stream.Layout{Names: messages.Names{Prefix: prefix}, Retention: time.Hour, Takeover: 3 * time.Second}
		if _, err := layout.Ensure(t.Context(), s.js); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(prefix string, st desk.Status) {
		one := *s
		one.names.Prefix = prefix
		one.answer(map[string]any{"status": st})
	}
	owner := view.Replica{Name: "host-a", Role: view.RoleOwner}
	answers("centre.1", desk.Status{
		Replicas: []view.Replica{owner, {Name: "host-b", Role: view.RoleStandby}},
		View:     &view.View{Gate: view.GateState{State: "open", Rate: 50, Limit: 50}, Coverage: view.Coverage{InForce: 12, NotSignedIn: 3}},
	})
	answers("south", desk.Status{
		Replicas: []view.Replica{owner},
		View:     &view.View{Gate: view.GateState{State: "shut", Why: "no call is made: HTTP status 503\x1b"}, Coverage: view.Coverage{Due: 7}},
	})
	if _, err := s.js.Publish(t.Context(), "north_2.changes", []byte(`{"agent_id":"1001","flag":"true"}`)); err != nil {
		t.Fatal(err)
	}
	o := s.run("sites")
	o.want(t, statusFailed, "centre.1", "host-a", "ready", "12 of 15", "50 calls per second", "south", "no call is made: HTTP status 503·", "0 of 7",
		"north_2", "no worker answers", "2 of 3 sites not ready")
	var all []desk.Site
	if err := json.Unmarshal([]byte(s.run("sites", "--json").out), &all); err != nil || len(all) != 3 {
		t.Fatalf("%v: %+v", err, all)
	}
	if c, n := all[0], all[1]; c.Prefix != "centre.1" || !c.Ready || c.Replicas != 2 || c.Coverage.NotSignedIn != 3 || *c.Rate != 50 ||
		n.Prefix != "north_2" || n.Ready || n.Unfinished != 1 || n.Coverage != nil || n.Rate != nil {
		t.Errorf("%+v", all)
	}
}

func TestSitesThatAreReady(t *testing.T) {
	s := newSite(t)
	s.answer(map[string]any{"status": desk.Status{
		Replicas: []view.Replica{{Name: "host-a", Role: view.RoleOwner}}, View: &view.View{Gate: view.GateState{State: "open"}},
	}})
	s.run("sites").want(t, statusFine, "idlepolicy", "host-a", "ready", "0 of 0", "no limit")
}
