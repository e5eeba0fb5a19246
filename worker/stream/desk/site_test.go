package desk_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

var names = messages.Names{Prefix: "site.b"} // the name that subjects, streams and buckets write differently

// newSite returns a desk at a new site, and a connection of the test's own.
func newSite(t *testing.T) (*desk.Desk, jetstream.JetStream) {
	t.Helper()
	return siteAt(t, natstest.Start(t).ClientURL())
}

func siteAt(t *testing.T, url string) (*desk.Desk, jetstream.JetStream) {
	t.Helper()
	js := natstest.JetStream(t, natstest.Connect(t, url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond)))
	if _, err := (stream.Layout{Names: names, Retention: time.Hour, Takeover: 3 * time.Second}).Ensure(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	return open(t, url), js
}

func open(t *testing.T, url string) *desk.Desk {
	t.Helper()
	d, err := desk.Open(t.Context(), stream.Options{URLs: []string{url}, Name: "test"}, names)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func store(t *testing.T, js jetstream.JetStream, r messages.Result) uint64 {
	t.Helper()
	ack, err := js.Publish(t.Context(), names.Result(r.Outcome, r.AgentID), r.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// state is what a stream holds, by subject too.
func state(t *testing.T, js jetstream.JetStream, name string) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	return info.State
}
