package stream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
)

// all reads a stream to its end.
func (s *site) all(stream string, cfg jetstream.OrderedConsumerConfig) []Message {
	s.t.Helper()
	r, err := OpenReader(s.t.Context(), s.js, stream, cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Stop()
	var all []Message
	for pending := r.Pending(); pending > 0; pending = all[len(all)-1].Pending {
		m, err := r.Next(s.t.Context(), time.Minute)
		if err != nil {
			s.t.Fatalf("after %d messages: %v", len(all), err)
		}
		all = append(all, m)
	}
	return all
}

// statuses are first lines with a status, which the server leaves out.
var statuses = regexp.MustCompile("^NATS/1\\.0 [^\r]*\r")

// Every block arrives, with its body and without, in order and once; what the library cannot decode is marked, and can be
// read back.
func TestReaderReturnsMessagesWithAnyHeaderBlock(t *testing.T) {
	s := newSite(t)
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	blocks := natstest.Blocks()
	raw := natstest.DialRaw(t, s.server.ClientURL())
	for _, b := range blocks {
		raw.Publish("s.with", b.Text, b.Name)
		raw.Publish("s.without", b.Text, "")
	}
	raw.Publish("s.last", "NATS/1.0\r\n\r\n", "last")
	s.wait("all are stored", func() bool { _, err := GetLastMsg(t.Context(), s.js, "S", "s.last"); return err == nil })
	all := s.all("S", jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if len(all) != 2*len(blocks)+1 {
		t.Fatalf("%d messages of %d were read", len(all), 2*len(blocks)+1)
	}
	for i, m := range all[:len(all)-1] {
		b := blocks[i/2]
		if m.Seq != uint64(i+1) {
			t.Fatalf("%s: message %d comes in the place of %d", b.Name, m.Seq, i+1)
		}
		got, err := GetMsg(t.Context(), s.js, "S", m.Seq)
		if err != nil || string(got.Block) != statuses.ReplaceAllString(b.Text, "NATS/1.0\r") {
			t.Errorf("%s: its block was read back as %.50q, %v", b.Name, got.Block, err)
		}
		if m.Undecoded && len(m.Header) > 0 {
			t.Errorf("%s: it could not be decoded, and has the headers %v", b.Name, m.Header)
		}
		if i%2 == 0 && string(m.Data) != b.Name {
			t.Errorf("%s: its body is %q", b.Name, m.Data)
		}
	}
}

func TestReaderContinuesAfterARestart(t *testing.T) {
	s := newSite(t)
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(t.Context(), s.js, "S", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	n := 0
	next := func(what string) {
		t.Helper()
		n++
		s.wait("a message is stored", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a server that stops loses requests
			defer cancel()
			_, err := s.js.Publish(ctx, "s", fmt.Append(nil, n), jetstream.WithMsgID(strconv.Itoa(n)))
			return err == nil
		})
		var m Message
		s.wait("it is read "+what, func() bool {
			got, err := r.Next(t.Context(), time.Second)
			if err != nil && !errors.Is(err, ErrQuiet) && !errors.Is(err, ErrDeaf) {
				t.Fatalf("%s: %v", what, err)
			}
			m = got
			return err == nil
		})
		if string(m.Data) != strconv.Itoa(n) {
			t.Errorf("%s: %q was read, want %d", what, m.Data, n)
		}
	}
	next("at first")
	if err := s.js.DeleteConsumer(t.Context(), "S", r.name); err != nil {
		t.Fatal(err)
	}
	next("after its consumer was deleted")
	s.restartServer()
	next("after the server was restarted")
	_ = s.nc.ForceReconnect() // fails if it is closed, which the next step shows
	next("after a reconnect")
	if err := s.js.DeleteStream(t.Context(), "S"); err != nil {
		t.Fatal(err)
	}
	s.wait("its end is told", func() bool {
		_, err := r.Next(t.Context(), time.Second)
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
}

// An account may allow fewer messages for a pull than a Reader asks for.
func TestReaderAsksForWhatTheServerAllows(t *testing.T) {
	s := newSiteWith(t, func(o *server.Options) { o.JetStreamLimits.MaxRequestBatch = 100 })
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	const n = 2*readAtOnce + 1
	for range n {
		if _, err := s.js.PublishAsync("s", nil); err != nil {
			t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
	all := s.all("S", jetstream.OrderedConsumerConfig{})
	if len(all) != n || all[n-1].Seq != n {
		t.Errorf("%d messages were read, the last of them is %d: want %d", len(all), all[len(all)-1].Seq, n)
	}
}
