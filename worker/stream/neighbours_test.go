package stream

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream/natstest"
)

func layoutOf(prefix string) Layout {
	l := testLayout()
	l.Names = messages.Names{Prefix: prefix}
	return l
}

// has is all that the server has, as far as anybody could have changed it.
func (s *site) has() (all []string) {
	s.t.Helper()
	list := s.js.ListStreams(s.t.Context())
	for info := range list.Info() {
		c := info.Config
		all = append(all, c.Name+" "+strings.Join(c.Subjects, " ")+" "+c.Metadata[markPrefix])
	}
	if list.Err() != nil {
		s.t.Fatal(list.Err())
	}
	slices.Sort(all)
	return all
}

// wantRefused has a site of that prefix begin on a server where it meets another one.
func (s *site) wantRefused(prefix string, says ...string) {
	s.t.Helper()
	before := s.has()
	wrong, err := Prepare(s.t.Context(), s.nc, layoutOf(prefix))
	if err == nil || !wrong {
		s.t.Errorf("%s: final %t, %v", prefix, wrong, err)
		return
	}
	if _, checked := Report(s.t.Context(), s.nc, layoutOf(prefix)); checked == nil || checked.Error() != err.Error() {
		s.t.Errorf("%s: a check says %v, the start %v", prefix, checked, err)
	}
	for _, want := range append(says, "choose an IDLE_PREFIX") {
		if !strings.Contains(err.Error(), want) {
			s.t.Errorf("%s: %v; it does not say %q", prefix, err, want)
		}
	}
	if after := s.has(); !slices.Equal(before, after) {
		s.t.Errorf("%s: was %q, is %q", prefix, before, after)
	}
}

// Sites whose names nest take each other's subjects, and those that differ in dots and dashes only have the same streams
// and buckets.
func TestPrefixesThatMeet(t *testing.T) {
	for _, pair := range [][2]string{
		{"a", "a.changes"}, {"a", "a.result"}, {"a", "a.batch"}, {"a", "a.dead"}, {"a", "a.result.x"}, {"a.b", "a-b"}, {"a-b", "a_b"}, {"a_b", "a.b"},
	} {
		for _, order := range [][2]string{pair, {pair[1], pair[0]}} {
			s := newSite(t)
			if _, err := Prepare(t.Context(), s.nc, layoutOf(order[0])); err != nil {
				t.Fatal(err)
			}
			s.wantRefused(order[1], "another prefix, "+order[0])
			if wrong, err := Prepare(t.Context(), s.nc, layoutOf(order[0])); err != nil || wrong {
				t.Errorf("%s cannot go on: %v", order[0], err)
			}
		}
	}
}

// Of a site that is to be set up again there may be nothing left but who is signed in.
func TestSessionsAloneAreStillTheOthers(t *testing.T) {
	s := newSite(t)
	other := layoutOf("a.b")
	if _, err := other.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	for _, c := range other.streams() {
		if c.Name != "KV_"+other.Names.SessionsBucket() {
			s.deleteStream(c.Name)
		}
	}
	s.wantRefused("a-b", "stream KV_a_b_sessions belongs to another prefix, a.b,")
}

// A worker that runs does not read what another site has put in the place of its own bucket.
func TestSessionsOfAnotherSiteAreNotFollowed(t *testing.T) {
	s := newSite(t)
	other := layoutOf("a.b")
	if _, err := other.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.Publish(t.Context(), "$KV.a_b_sessions.1001", messages.EncodeSession(messages.Session{GUID: "secret"})); err != nil {
		t.Fatal(err)
	}
	log := &notebook{}
	ctx, cancel := context.WithCancel(t.Context())
	sessions := worker.NewSessions()
	var wg sync.WaitGroup
	wg.Go(func() {
		o := &Owner{
			Conn: s.nc, Layout: Layout{Names: messages.Names{Prefix: "a-b"}}, Worker: &worker.Worker{Sessions: sessions},
			Log: slog.New(slog.NewTextHandler(log, nil)),
		}
		o.FollowSessions(ctx)
	})
	s.wait("it says why", func() bool { return len(log.lines(ErrForeign.Error())) == 1 || sessions.Len() > 0 })
	cancel()
	wg.Wait()
	if n := sessions.Len(); n > 0 {
		t.Errorf("%d sessions of another site were read", n)
	}
}

// Of two sites that begin at once, one has all and the other nothing.
func TestPrefixesThatMeetAtOnce(t *testing.T) {
	s := newSite(t)
	for _, first := range []string{"a", "b", "c", "d", "e"} {
		prefixes := []string{first + ".x", first + "-x"}
		errs := make([]error, len(prefixes))
		var wg sync.WaitGroup
		for i, prefix := range prefixes {
			wg.Go(func() { _, errs[i] = Prepare(context.Background(), s.nc, layoutOf(prefix)) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%v\n%v", errs[0], errs[1])
		}
		for i, err := range errs {
			if _, again := Prepare(t.Context(), s.nc, layoutOf(prefixes[i])); (again == nil) != (err == nil) {
				t.Errorf("%s: %v, and later %v", prefixes[i], err, again)
			}
		}
	}
}

func TestStreamOfAnotherNameTakesOurSubjects(t *testing.T) {
	for _, test := range []struct{ needs, taken string }{
		{"idlepolicy.changes", "idlepolicy.*"},
		{"idlepolicy.changes.>", "idlepolicy.changes.urgent"},
		{"idlepolicy.result.>", "idlepolicy.result.applied.*"},
		{"idlepolicy.batch.>", "idlepolicy.batch.b1"},
		{"idlepolicy.dead.>", "idlepolicy.dead.>"},
		{"$KV.idlepolicy_sessions.>", "$KV.idlepolicy_sessions.1001"},
	} {
		s := newSite(t)
		c := jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{test.taken}}
		if _, err := s.js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.wantRefused("idlepolicy", "subject "+test.needs+",", "ORDERS has "+test.taken+";")
	}
}

// A user who may not list streams gets the server's word for it, and is not kept waiting for another.
func TestOverlapThatCannotBeSeen(t *testing.T) {
	s := newSiteWith(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "pw"},
			{Username: "some", Password: "pw", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.LIST"}}}},
		}
	})
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"idlepolicy.changes"}}); err != nil {
		t.Fatal(err)
	}
	nc := natstest.Connect(t, strings.Replace(s.server.ClientURL(), "nats://", "nats://some:pw@", 1))
	if remarks, err := Report(t.Context(), nc, testLayout()); err != nil || len(remarks) == 0 || !strings.Contains(remarks[0], "could not be seen") {
		t.Errorf("a check says %q, %v", remarks, err)
	}
	if wrong, err := Prepare(t.Context(), nc, testLayout()); !wrong || err == nil || !strings.Contains(err.Error(), "idlepolicy.changes") {
		t.Errorf("final %t, %v", wrong, err)
	}
	if err := s.js.DeleteStream(t.Context(), "ORDERS"); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(t.Context(), nc, testLayout()); err != nil {
		t.Errorf("nothing stands in the way any more: %v", err)
	}
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.>", "a", false},
		{">", "a.b", true},
		{"a.>", "a.b", true},
		{"a.>", "b.a", false},
		{"a.*.c", "a.b.*", true},
		{"a.*.c", "a.b.d", false},
		{"a.b.>", "*.b.c.d", true},
	} {
		if overlap(test.a, test.b) != test.want || overlap(test.b, test.a) != test.want {
			t.Errorf("%s and %s: want %t", test.a, test.b, test.want)
		}
	}
}

// What a server has to offer is said by the worker that runs too, and is over once it is there.
func TestServerWithoutJetStream(t *testing.T) {
	off := true
	s := newSiteWith(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "pw"}}
		o.JetStream = !off
	})
	url := strings.Replace(s.server.ClientURL(), "nats://", "nats://all:pw@", 1)
	nc, err := Connect(t.Context(), Options{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, checked := Report(t.Context(), nc, testLayout())
	wrong, started := Prepare(t.Context(), nc, testLayout())
	for _, err := range []error{checked, started} {
		if err == nil || !strings.Contains(err.Error(), s.server.Addr().String()) || !strings.Contains(err.Error(), "JetStream") ||
			!strings.Contains(err.Error(), "-js") || strings.Contains(err.Error(), "pw") {
			t.Errorf("it says: %v", err)
		}
	}
	if wrong {
		t.Error("it gives up, though the server may be set up otherwise")
	}
	log := &notebook{}
	s.log, s.via = slog.NewTextHandler(log, nil), url
	a := s.start("a")
	s.wait("State says so", func() bool { return strings.Contains(a.owner.State().Trouble, "offers no JetStream") })
	off = false
	s.restartServer()
	s.waitOwner(a)
	if said := log.lines("offers no JetStream"); len(said) != 1 {
		t.Errorf("said %d times: %q", len(said), said)
	}
}

func TestAccountWithoutJetStream(t *testing.T) {
	with, without := server.NewAccount("WITH"), server.NewAccount("WITHOUT")
	s := newSiteWith(t, func(o *server.Options) {
		o.Accounts = []*server.Account{with, without}
		o.Users = []*server.User{{Username: "all", Password: "pw", Account: with}, {Username: "some", Password: "pw", Account: without}}
	})
	nc, err := Connect(t.Context(), Options{URLs: []string{strings.Replace(s.server.ClientURL(), "nats://", "nats://some:pw@", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	within, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	if wrong, err := Prepare(within, nc, testLayout()); wrong || err == nil || !strings.Contains(err.Error(), "to the account of this user") {
		t.Errorf("final %t, %v", wrong, err)
	}
}

func TestWhereHidesTokens(t *testing.T) {
	s := newSiteWith(t, func(o *server.Options) { o.Users = []*server.User{{Username: "all", Password: "pw"}} })
	nc, err := Connect(t.Context(), Options{URLs: []string{strings.Replace(s.server.ClientURL(), "nats://", "nats://all:pw@", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if where := Where(nc); !strings.Contains(where, s.server.Addr().String()) || strings.Contains(where, "pw") {
		t.Errorf("shown: %s", where)
	}
	nc.Close()
	if where := Where(nc); where != "no server at the moment" {
		t.Errorf("shown without a connection: %s", where)
	}
}
