package service

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/desk"
)

// Where the account, or the server, has no room left, nothing that was accepted is lost or ends twice, in spite of a restart meanwhile,
// operators read what to do, and room is all that it takes to continue.
func TestNoRoomForResults(t *testing.T) {
	for name, conf := range map[string]string{
		"account": "jetstream { store_dir: STORE, max_file_store: 1GB }\naccounts { A: { jetstream: { max_file: 20MB }, users: [{ user: u, password: p }] } }, no_auth_user: u",
		"server":  "jetstream { store_dir: STORE, max_file_store: 20MB }",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := &bench{T: t, site: s}
			s.nats = b.server(conf)
			s.config.NATSURLs = []string{"nats://" + s.nats.Addr().String()}
			stop := s.start()
			s.isOwner()
			js := s.connect()

			const agents = 20
			s.outage(gatewaytest.Refusing)
			for n := range agents {
				agent := strconv.Itoa(1001 + n)
				session := messages.Session{GUID: s.gateway.SignIn(agent)}
				if _, err := js.Publish(t.Context(), "$KV."+s.names.SessionsBucket()+"."+agent, messages.EncodeSession(session)); err != nil {
					t.Fatal(err)
				}
				s.publish(js, fmt.Sprintf(`{"agent_id":%q,"flag":"false","id":"c%s"}`, agent, agent), nil)
			}
			filler := s.fill(js)
			s.outage(gatewaytest.NoOutage)

			const do = "raise the account's max_file or the server's max_file_store, or free its disk"
			said := func() bool {
				r := s.ready()
				return r.Code == http.StatusServiceUnavailable && strings.Contains(r.Reason, do)
			}
			s.wait("/readyz says what to do", said)
			d, err := desk.On(js.Conn(), s.names)
			if err != nil {
				t.Fatal(err)
			}
			s.wait("idlectl status says it", func() bool {
				status, err := d.Status(t.Context())
				return err == nil && len(status.Replicas) == 1 && strings.Contains(status.Replicas[0].Trouble, do)
			})
			if n := strings.Count(s.log.text(), "results are not stored"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, s.log.text())
			}
			stop()
			s.start()
			s.wait("/readyz says it after a restart too", said)

			if err := js.DeleteStream(t.Context(), filler); err != nil {
				t.Fatal(err)
			}
			s.isOwner()
			for n := range agents {
				s.result(js, messages.Applied, strconv.Itoa(1001+n))
			}
			s.wait("nothing is unfinished", func() bool { return s.held(js, s.names.ChangesStream()) == 0 })
			results, err := js.Stream(t.Context(), s.names.ResultsStream())
			if err != nil {
				t.Fatal(err)
			}
			info, err := results.Info(t.Context(), jetstream.WithSubjectFilter(s.names.Result(messages.Applied, "*")))
			if err != nil {
				t.Fatal(err)
			}
			for agent, n := range info.State.Subjects {
				if n != 1 {
					t.Errorf("%d results of %s", n, agent)
				}
			}
		})
	}
}

// fill takes all the room that is left, down to the last hundred bytes, and returns the stream that has it.
func (s *site) fill(js jetstream.JetStream) (stream string) {
	s.t.Helper()
	const name = "FILLER"
	if _, err := js.CreateStream(s.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{"filler"}}); err != nil {
		s.t.Fatal(err)
	}
	for size := 512 << 10; size > 0; size /= 2 {
		for {
			_, err := js.Publish(s.t.Context(), "filler", make([]byte, size))
			if _, refused := errors.AsType[*jetstream.APIError](err); refused {
				break
			} else if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return name
}

// held returns how many messages a stream holds.
func (s *site) held(js jetstream.JetStream, name string) uint64 {
	s.t.Helper()
	held, err := js.Stream(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return held.CachedInfo().State.Msgs
}
