package stream

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
)

// limitMessages lets a stream take no message above a size, as an operator may set it.
func (s *site) limitMessages(stream string, size int32) {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.MaxMsgSize = size
	if _, err := s.js.UpdateStream(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
}

// What the stream of dead letters refuses for its size is stored smaller, and marked; what it refuses in any form is given
// up. Neither holds the agent's lane, nor a stop.
func TestDeadLettersThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		size int32
		want string
	}{
		"stored smaller": {4000, "was cut"},
		"given up":       {10, "was given up"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			log := &notebook{}
			s.log = slog.NewTextHandler(log, nil)
			s.finished = 2 * natstest.Patience
			a := s.startOwner("a")
			s.signIn("1001", "g")
			s.limitMessages(s.layout.Names.DeadStream(), test.size)
			const n = 50
			for range n {
				s.publish(`{"agent_id":"1001","flag":"yes","note":"` + strings.Repeat("x", 10_000) + `"}`)
			}
			s.publish(`{"agent_id":"1001","flag":"true","id":"good"}`)
			s.waitFinished()
			if got := s.inForce("1001"); got != "good" {
				t.Errorf("in force is %q", got)
			}
			if said := log.lines(test.want); len(said) != n {
				t.Errorf("it is logged %d times: %q", len(said), said[:min(3, len(said))])
			}
			if said := log.lines("msg=trouble "); len(said) > 1 {
				t.Errorf("one kind of trouble is %d warnings: %q", len(said), said)
			}
			v, ok := a.owner.Worker.Agent(t.Context(), "1001")
			if !ok || !strings.Contains(v.Unkept, "dead letter") {
				t.Errorf("explain says %q", v.Unkept)
			}
			m, err := GetLastMsg(t.Context(), s.js, s.layout.Names.DeadStream(), s.layout.Names.Dead("1001"))
			if test.size > 10 && (err != nil || m.Header.Get(messages.CutHeader) != "true" || len(m.Data) != cutTo || m.Header.Get(messages.ResultHeader) == "") {
				t.Errorf("the letter has %d bytes and the headers %v: %v", len(m.Data), m.Header, err)
			}
			stopped := make(chan struct{})
			go func() { a.finish(); close(stopped) }()
			select {
			case <-stopped:
			case <-time.After(natstest.Patience):
				t.Error("the stop waits for what is refused")
			}
		})
	}
}

// A result that the stream refuses for its size is stored without what it can do without.
func TestResultThatIsRefusedIsCut(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g")
	s.limitMessages(s.layout.Names.ResultsStream(), 1800)
	s.publish(`{"agent_id":"1001","flag":"true","id":"one","reason":"` + strings.Repeat("é", 1000) + `"}`)
	s.waitFinished()
	s.wantResults("applied 1001 one")
	m, err := GetLastMsg(context.Background(), s.js, s.layout.Names.ResultsStream(), s.layout.Names.AgentResults("1001"))
	if err != nil || m.Header.Get(messages.CutHeader) != "true" || m.Header.Get(ledgerHeader) == "" {
		t.Errorf("the result has the headers %v: %v", m.Header, err)
	}
}

// Errors that are not about the message are no reason to give up.
func TestRefusalsForTheMessage(t *testing.T) {
	for _, err := range []error{
		context.DeadlineExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound,
		&jetstream.APIError{Code: 503, ErrorCode: 10077}, &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence},
	} {
		if isRefused(err) {
			t.Errorf("%v counts as being about the message", err)
		}
	}
}
