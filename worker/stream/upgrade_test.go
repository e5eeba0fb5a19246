package stream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOlderState restores what an older version of the worker left, from testdata: unfinished changes, ledgers and its
// consumer. With IDLE_RECORD=NAME in the environment it records what this version leaves instead.
func TestOlderState(t *testing.T) {
	if name := os.Getenv("IDLE_RECORD"); name != "" {
		record(t, filepath.Join("testdata", name))
	}
	files, err := filepath.Glob("testdata/state-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded states: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := newSite(t)
			s.keepForever()
			for name, b := range readState(t, file) {
				s.restore(name, b)
			}
			s.startOwner("newer")
			for _, agent := range []string{"1001", "1002", "1003"} {
				s.signIn(agent, "guid")
			}
			s.publish(`{"id":"new","agent_id":"1001","flag":"true"}`)
			s.waitFinished()
			s.wantEndings("applied 1001 one", "superseded 1002 two", "applied 1002 three", "applied 1003 four",
				"rejected unknown bad", "applied 1001 new")
		})
	}
}

// keepForever: what is recorded must not be out of date when it is restored years later.
func (s *site) keepForever() {
	const forever = 200 * 365 * 24 * time.Hour
	s.layout.Retention, s.policy.Retention, s.policy.Validity = forever, forever, forever
}

func record(t *testing.T, file string) {
	t.Helper()
	s := newSite(t)
	s.keepForever()
	r := s.startOwner("older")
	s.signIn("1001", "guid")
	s.publish(`{"id":"one","agent_id":"1001","flag":"true"}`)
	s.publish(`{"id":"bad"}`)
	s.publish(`{"id":"two","agent_id":"1002","flag":"true"}`)
	s.publish(`{"id":"three","agent_id":"1002","flag":"false"}`)
	s.publish(`{"id":"four","agent_id":"1003","flag":"false"}`)
	s.wait("all is told", func() bool { return len(s.results()) >= 5 })
	r.finish()
	text, err := json.Marshal(s.backups())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readState(t *testing.T, file string) map[string]saved {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]saved
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// What an older version made of the consumer is changed in place, with everything that it knows. Streams are left as they
// are: an operator may have meant it.
func TestOlderConfiguration(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	if _, err := s.layout.Ensure(ctx, s.js); err != nil {
		t.Fatal(err)
	}
	older := s.layout.results()
	older.MaxAge, older.Description = 48*time.Hour, "as it was"
	if _, err := s.js.UpdateStream(ctx, older); err != nil {
		t.Fatal(err)
	}
	was := s.layout.consumer()
	was.AckWait, was.MaxAckPending, was.PinnedTTL = time.Hour, 1000, time.Minute
	was.Metadata = map[string]string{incarnationsKey: incarnations{{1, 1}}.String()}
	if _, err := s.js.CreateConsumer(ctx, s.layout.Names.ChangesStream(), was); err != nil {
		t.Fatal(err)
	}
	s.publish(`{"id":"one","agent_id":"1001","flag":"true"}`)
	s.signIn("1001", "guid")
	s.startOwner("newer")
	s.waitFinished()
	s.wantResults("applied 1001 one")
	c, err := s.js.Consumer(ctx, s.layout.Names.ChangesStream(), consumerName)
	if err != nil {
		t.Fatal(err)
	}
	has, want := c.CachedInfo().Config, s.layout.consumer()
	if still := mended(has, want); len(still) > 0 {
		t.Errorf("the consumer is still as it was: %q", still)
	}
	if known := parseIncarnations(has.Metadata[incarnationsKey]); len(known) != 2 || known[0].number != 1 {
		t.Errorf("the consumer tells of the incarnations %v", known)
	}
	_, said, err := s.layout.Inspect(ctx, s.js)
	if err != nil || len(said) != 1 || !strings.Contains(said[0], "max age 48h") {
		t.Errorf("what is said of the stream that differs: %q, %v", said, err)
	}
}

// What somebody changed of the consumer by hand is named and set right: with a filter, or after a last delivery, changes
// would stay in the stream for good.
func TestConsumerThatWasChangedByHand(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	if _, err := s.layout.Ensure(ctx, s.js); err != nil {
		t.Fatal(err)
	}
	byHand := s.layout.consumer()
	byHand.AckWait, byHand.BackOff, byHand.MaxDeliver = time.Second, []time.Duration{time.Second, time.Minute}, 3
	byHand.FilterSubject, byHand.HeadersOnly = "idlepolicy.changes.late", true
	byHand.MaxWaiting, byHand.MaxRequestBatch, byHand.MaxRequestMaxBytes, byHand.MaxRequestExpires = 4, 1, 1000, time.Second
	if _, err := s.js.CreateConsumer(ctx, s.layout.Names.ChangesStream(), byHand); err != nil {
		t.Fatal(err)
	}
	has, said, err := s.layout.mend(ctx, s.js, byHand)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"max deliveries 3: now -1", "a filter of idlepolicy.changes.late: now nothing", "back-off steps 2: now 0", "headers only true"} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("%q is not said in %q", want, said)
		}
	}
	if still := mended(has, s.layout.consumer()); len(still) > 0 {
		t.Errorf("the consumer is still as it was: %q", still)
	}
	s.publish(`{"id":"one","agent_id":"1001","flag":"true"}`)
	s.signIn("1001", "guid")
	s.startOwner("a")
	s.waitFinished()
	s.wantResults("applied 1001 one")
}
