package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
)

// Changes restored from an older backup beside newer results: their stream gives out sequences that results tell of
// already, and what is new must not be taken for that, not even after the server read its store again.
func TestOlderChangesBesideNewerResults(t *testing.T) {
	s := newSite(t)
	r := s.startOwner("before")
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("one of two has ended", func() bool { return s.told(messages.Applied, "1001", "one") == 1 })
	older := s.backup(s.layout.Names.ChangesStream())
	s.signIn("1002", "guid")
	s.publish(`{"id":"two","agent_id":"1001","flag":"true"}`)
	s.waitFinished() // else the next one may take its place
	s.publish(`{"id":"three","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	r.finish()
	s.again(s.layout.Names.ChangesStream(), older)
	s.startOwner("after")
	s.publish(`{"id":"four","agent_id":"1001","flag":"false"}`)
	s.waitFinished()
	s.restartServer()
	s.publish(`{"id":"five","agent_id":"1001","flag":"true"}`)
	s.waitFinished()
	s.wantEndings("applied 1001 one", "applied 1002 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "applied 1001 five")
}

// A stream that is deleted and created again beside old results gives out the same sequences: nothing new is taken for old,
// not even where somebody gave it a copy of the consumer that the old one had.
func TestRecreatedChangesBesideOldResults(t *testing.T) {
	s := newSite(t)
	name := s.layout.Names.ChangesStream()
	s.live("one")
	copied := s.live("two")
	if copied.Metadata[incarnationsKey] == "" {
		t.Fatal("the consumer tells of no incarnation")
	}
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateConsumer(t.Context(), name, copied); err != nil {
		t.Fatal(err)
	}
	s.live("three")
	s.wantEndings("applied 1001 one-a", "applied 1001 one-b", "applied 1001 two-a", "applied 1001 two-b",
		"applied 1001 three-a", "applied 1001 three-b")
}

// live has a stream of changes be made, have two changes and be deleted. It returns what its consumer was.
func (s *site) live(id string) jetstream.ConsumerConfig {
	s.t.Helper()
	r := s.startOwner(id)
	s.signIn("1001", "guid")
	for _, flag := range []string{"a", "b"} {
		s.publish(fmt.Sprintf(`{"id":"%s-%s","agent_id":"1001","flag":"%s"}`, id, flag, flag))
		s.waitFinished()
	}
	r.finish()
	name := s.layout.Names.ChangesStream()
	c, err := s.js.Consumer(context.Background(), name, consumerName)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.js.DeleteStream(context.Background(), name); err != nil {
		s.t.Fatal(err)
	}
	return c.CachedInfo().Config
}

// The disk of the changes lost the last messages, as after a power failure, and that of the results did not: the stream
// gives out sequences again that results tell of already, and nobody says that it is another one.
func TestChangesWithoutTheirLastMessages(t *testing.T) {
	s := newSite(t)
	s.startOwner("before")
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_ids":["1001","1002"],"flag":"true"}`)
	s.wait("one of two has ended", func() bool { return s.told(messages.Applied, "1001", "one") == 1 })
	files, older := filepath.Join(s.dir, "jetstream", "$G", "streams", s.layout.Names.ChangesStream()), filepath.Join(t.TempDir(), "older")
	s.whileStopped(func() error { return os.CopyFS(older, os.DirFS(files)) })
	for _, id := range []string{"two", "three", "four"} {
		s.publish(`{"id":"` + id + `","agent_id":"1001","flag":"true"}`)
		s.wait(id+" has ended", func() bool { return s.told(messages.Applied, "1001", id) == 1 })
	}
	s.whileStopped(func() error {
		return errors.Join(os.RemoveAll(files), os.CopyFS(files, os.DirFS(older)))
	})
	s.publish(`{"id":"five","agent_id":"1001","flag":"false"}`)
	s.wait("the new one has ended", func() bool { return s.told(messages.Applied, "1001", "five") == 1 })
	s.signIn("1002", "guid")
	s.waitFinished()
	s.wantEndings("applied 1001 one", "applied 1002 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "applied 1001 five")
}

// whileStopped does something while the server is down.
func (s *site) whileStopped(do func() error) {
	s.t.Helper()
	port := natstest.Port(s.server)
	natstest.Stop(s.server)
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
	s.startServer(port)
}
