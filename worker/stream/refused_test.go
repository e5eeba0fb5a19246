package stream

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
)

// notebook is a log that a test can read.
type notebook struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notebook) lines(with string) (found []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.text.String()) {
		if strings.Contains(line, with) {
			found = append(found, line)
		}
	}
	return found
}

// deniedAt is when something was denied last.
func (t *troubles) deniedAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.when
}

// What is denied is asked for several times a second, and said in one line.
func TestDeniedPermissionIsLoggedOnce(t *testing.T) {
	s := newSiteWith(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "pw"},
			{Username: "some", Password: "pw", Permissions: &server.Permissions{Publish: &server.SubjectPermission{
				Deny: []string{"$JS.API.CONSUMER.INFO.IDLEPOLICY_CHANGES.worker"},
			}}},
		}
	})
	log := &notebook{}
	s.log = slog.NewTextHandler(log, nil)
	s.via = strings.Replace(s.server.ClientURL(), "nats://", "nats://some:pw@", 1)
	a := s.start("a")
	const denied = "CONSUMER.INFO.IDLEPOLICY_CHANGES.worker"
	s.wait("State says what is denied", func() bool { return strings.Contains(a.owner.State().Trouble, denied) })
	first := time.Now()
	s.wait("it was denied again", func() bool { return a.owner.troubles.deniedAt().After(first) })
	if said := log.lines(denied); len(said) != 1 || !strings.Contains(said[0], "level=ERROR") {
		t.Errorf("said %d times: %q", len(said), said)
	}
}

func TestResultsWithoutRoomWaitForIt(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	full := s.layout.results()
	full.MaxBytes, full.Discard = 1, jetstream.DiscardNew
	if _, err := s.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("State says so", func() bool {
		return strings.Contains(a.owner.State().Trouble, "results are not stored: maximum bytes exceeded")
	})
	if _, err := s.js.UpdateStream(t.Context(), s.layout.results()); err != nil {
		t.Fatal(err)
	}
	s.waitFinished()
	s.wantResults("applied 1001 c1")
	if n := len(s.gateway.made()); n != 1 {
		t.Errorf("%d calls", n)
	}
	s.signIn("1002", "g")
	s.wait("all is well", func() bool {
		s.publish(`{"agent_id":"1002","flag":"f"}`)
		return a.owner.State().Trouble == ""
	})
}

// Dead letters without room keep the changes of others from nothing.
func TestDeadLettersWithoutRoomWaitAlone(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	full := s.layout.dead()
	full.MaxBytes, full.Discard = 1, jetstream.DiscardNew
	if _, err := s.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	for _, agent := range []string{"1", "2001", "2002", "2003", "2004", "2005", "2006", "2007", "2008", "2009"} {
		s.publish(`{"agent_id":"` + agent + `","flag":"yes"}`)
	}
	s.wait("State says so", func() bool { return strings.Contains(a.owner.State().Trouble, "dead letter") })
	s.signIn("1001", "g")
	s.publish(`{"batch_id":"b","flag":"f","agent_id":"1001","id":"c1"}`)
	s.wait("a good one is applied", func() bool { return len(s.gateway.made()) == 1 && s.unfinished() == 10 })
	if _, err := s.js.UpdateStream(t.Context(), s.layout.dead()); err != nil {
		t.Fatal(err)
	}
	s.waitFinished()
	st, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
	if err != nil || st.CachedInfo().State.Msgs != 10 {
		t.Errorf("dead letters: %+v, %v", st.CachedInfo().State, err)
	}
}

func TestConnectErrorNamesTheCause(t *testing.T) {
	t.Run("nobody there", func(t *testing.T) {
		srv := natstest.Start(t)
		url := strings.Replace(srv.ClientURL(), "nats://", "nats://user:secret@", 1)
		natstest.Stop(srv)
		_, err := Connect(t.Context(), Options{URLs: []string{url}})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "***@127.0.0.1") || !strings.Contains(err.Error(), "does NATS run there") {
			t.Error(err)
		}
	})
	t.Run("not let in", func(t *testing.T) {
		s := newSiteWith(t, func(o *server.Options) { o.Users = []*server.User{{Username: "all", Password: "pw"}} })
		url := strings.Replace(s.server.ClientURL(), "all:pw@", "", 1)
		_, err := Connect(t.Context(), Options{URLs: []string{url}})
		if err == nil || !strings.Contains(err.Error(), "are the credentials the right ones") {
			t.Error(err)
		}
	})
}

// Wrong credentials are said and tried again: somebody may put them right while the worker waits.
func TestWrongCredentialsAreTriedAgain(t *testing.T) {
	user := &server.User{Username: "late", Password: "pw"}
	s := newSiteWith(t, func(o *server.Options) { o.Users = []*server.User{{Username: "all", Password: "pw"}} })
	log := &notebook{}
	url := strings.Replace(s.server.ClientURL(), "nats://", "nats://late:pw@", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	connected := make(chan error, 1)
	go func() {
		nc, err := Connect(ctx, Options{URLs: []string{url}, Wait: true, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			nc.Close()
		}
		connected <- err
	}()
	s.wait("it is said", func() bool { return len(log.lines("are the credentials the right ones")) > 0 })
	s.change = func(o *server.Options) { o.Users = []*server.User{{Username: "all", Password: "pw"}, user} }
	s.restartServer()
	if err := <-connected; err != nil {
		t.Error(err)
	}
	if said := log.lines("are the credentials the right ones"); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
}
