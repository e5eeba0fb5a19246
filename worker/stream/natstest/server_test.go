package natstest_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
)

func TestRestartKeepsWhatWasStored(t *testing.T) {
	dir := t.TempDir()
	first := natstest.StartAt(t, dir, -1)
	js := connect(t, first.ClientURL())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	port := natstest.Port(first)
	natstest.Stop(first)

	second := natstest.StartAt(t, dir, port)
	if first.ClientURL() != second.ClientURL() {
		t.Errorf("the address was %s and is %s", first.ClientURL(), second.ClientURL())
	}
	if _, err := connect(t, second.ClientURL()).Stream(t.Context(), "S"); err != nil {
		t.Errorf("look up the stream: %v", err)
	}
}

func TestServersDoNotMeet(t *testing.T) {
	a, b := natstest.Start(t), natstest.Start(t)
	if _, err := connect(t, a.ClientURL()).CreateStream(t.Context(), jetstream.StreamConfig{Name: "S"}); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, b.ClientURL()).Stream(t.Context(), "S"); err == nil {
		t.Error("one server has the other one's stream")
	}
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
