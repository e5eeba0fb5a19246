package stream

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"idlepolicy/worker/stream/natstest"
)

// saved is one stream as "nats stream backup" saves it: what the server says of it, and its files.
type saved struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
	Chunks [][]byte        `json:"chunks"`
}

// backup saves a stream with its consumers, over the same interface that the nats command uses.
func (s *site) backup(name string) saved {
	s.t.Helper()
	inbox := s.nc.NewInbox()
	from, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = from.Unsubscribe() }()
	var b saved
	s.ask("STREAM.SNAPSHOT."+name, map[string]any{"deliver_subject": inbox}, &b)
	for {
		m, err := from.NextMsg(natstest.Patience)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(m.Data) == 0 {
			return b
		}
		b.Chunks = append(b.Chunks, m.Data)
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// restore brings a stream back that is not there.
func (s *site) restore(name string, b saved) {
	s.t.Helper()
	var to struct {
		Deliver string `json:"deliver_subject"`
	}
	s.ask("STREAM.RESTORE."+name, map[string]any{"config": b.Config, "state": b.State}, &to)
	for _, chunk := range append(b.Chunks, nil) {
		var answer *nats.Msg
		s.wait("somebody takes a piece of "+name, func() bool { // of three servers ours may not know yet who does
			var err error
			if answer, err = s.nc.Request(to.Deliver, chunk, natstest.Patience); err != nil && !errors.Is(err, nats.ErrNoResponders) {
				s.t.Fatal(err)
			}
			return err == nil
		})
		s.wantNoError("restore "+name, answer)
	}
}

func (s *site) ask(what string, question, answer any) {
	s.t.Helper()
	text, err := json.Marshal(question)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := s.nc.Request("$JS.API."+what, text, natstest.Patience)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.wantNoError(what, m)
	if err := json.Unmarshal(m.Data, answer); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wantNoError(what string, m *nats.Msg) {
	s.t.Helper()
	var refused struct {
		Error *struct{ Description string }
	}
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &refused) == nil && refused.Error != nil {
		s.t.Fatalf("%s: %s", what, refused.Error.Description)
	}
}

// backups are the streams that have to be saved: sessions are handed over again, and what is in force is a view of the
// results.
func (s *site) backups() map[string]saved {
	s.t.Helper()
	n := s.layout.Names
	all := map[string]saved{}
	for _, name := range []string{n.ChangesStream(), n.ResultsStream(), n.DeadStream(), "KV_" + n.ControlBucket()} {
		all[name] = s.backup(name)
	}
	return all
}

// restored is another site, which has nothing but what was saved.
func restored(t *testing.T, all map[string]saved) *site {
	t.Helper()
	s := newSite(t)
	for name, b := range all {
		s.restore(name, b)
	}
	return s
}

// again deletes a stream and restores it from a backup.
func (s *site) again(name string, b saved) {
	s.t.Helper()
	if err := s.js.DeleteStream(context.Background(), name); err != nil {
		s.t.Fatal(err)
	}
	s.restore(name, b)
}
