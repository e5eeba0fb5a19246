package natstest_test

import (
	"net"
	"strconv"
	"testing"

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
	return natstest.JetStream(t, natstest.Connect(t, url))
}

// Two tests at once, in whatever processes, never get the same port.
func TestFreePortIsHeld(t *testing.T) {
	port := natstest.FreePort(t)
	for range 3 { // as often as a server is started again
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	if held, err := net.ListenPacket("udp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
		_ = held.Close()
		t.Errorf("port %d is not held", port)
	}
}
