package service

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

// site is a server, a gateway and, once started, one worker with its page.
type site struct {
	t       *testing.T
	config  config.Config
	names   messages.Names
	nats    *server.Server
	gateway *gatewaytest.Gateway
	log     logbook
	level   slog.Level // of the log; info
	page    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, names: messages.Names{Prefix: "centre.1"}, nats: natstest.Start(t)}
	g, err := gatewaytest.Start(gatewaytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	ca, err := g.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.gateway = g
	s.config = config.Config{
		Gateway: config.Gateway{GatewayURL: g.URL(), GatewayCA: ca, GatewayTimeout: 10 * time.Second}, Replicas: 1, Retention: time.Hour,
		Takeover: 2500 * time.Millisecond, MaxInFlight: 32, BackoffInitial: 20 * time.Millisecond, BackoffMax: time.Second,
		BackoffMultiplier: 2, BackoffJitter: 0.5, MaxAttempts: 2, Validity: 12 * time.Hour, Reapply: true,
		ShutdownGrace: time.Minute, HTTPAddr: "127.0.0.1:0",
		Client: config.Client{NATSURLs: []string{s.nats.ClientURL()}, Prefix: s.names.Prefix},
	}
	return s
}

// start starts the worker and waits for its page. The end of the test stops it.
func (s *site) start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	listens := make(chan string, 1)
	w := Service{
		Config: s.config, Name: "w1", Version: "v1.2.3", Log: slog.New(logHandler(&s.log, s.level, false)),
		Page: func(address string) { listens <- address },
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			s.t.Errorf("the worker ended: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	s.t.Cleanup(stop)
	s.page = "http://" + <-listens
	return stop
}

func (s *site) wait(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(natstest.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never came true: %s; the log:\n%s", what, s.log.text())
		}
	}
}

func (s *site) get(path string) (code int, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.page+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.ask(r)
}

func (s *site) post(path string, form url.Values) (code int, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.page+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.ask(r)
}

func (s *site) ask(r *http.Request) (code int, body string) {
	s.t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (s *site) outage(kind gatewaytest.Outage) {
	s.t.Helper()
	if err := s.gateway.SetOutage(kind); err != nil {
		s.t.Fatal(err)
	}
}

// ready is what /readyz says.
type ready struct {
	Code                         int
	Ready, Connected             bool
	Reason, Role, Owner, Trouble string
}

func (s *site) ready() (r ready) {
	s.t.Helper()
	code, body := s.get("/readyz")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		s.t.Fatalf("%v: %s", err, body)
	}
	r.Code = code
	return r
}

func (s *site) isOwner() {
	s.t.Helper()
	s.wait("the worker is the owner", func() bool { r := s.ready(); return r.Code == http.StatusOK && r.Role == "owner" })
}

func (s *site) connect() jetstream.JetStream {
	s.t.Helper()
	return natstest.JetStream(s.t, natstest.Connect(s.t, s.config.NATSURLs[0]))
}

func (s *site) publish(js jetstream.JetStream, body string, header nats.Header) {
	s.t.Helper()
	m := &nats.Msg{Subject: s.names.Changes(), Data: []byte(body), Header: header}
	if _, err := js.PublishMsg(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

// signIn signs an agent in at the gateway and hands the session over. It returns once the worker knows of somebody who
// is signed in: one agent is enough for the tests here.
func (s *site) signIn(js jetstream.JetStream, agent string) messages.Session {
	s.t.Helper()
	session := messages.Session{GUID: s.gateway.SignIn(agent), SignedInAt: time.Now()}
	subject := "$KV." + s.names.SessionsBucket() + "." + agent
	if _, err := js.Publish(s.t.Context(), subject, messages.EncodeSession(session)); err != nil {
		s.t.Fatal(err)
	}
	s.wait("the worker knows the session", func() bool {
		_, body := s.get("/metrics")
		return strings.Contains(body, "\nidlepolicy_sessions 1\n")
	})
	return session
}

// results waits for a result of that kind.
func (s *site) result(js jetstream.JetStream, o messages.Outcome, agent string) *jetstream.RawStreamMsg {
	s.t.Helper()
	stored, err := js.Stream(s.t.Context(), s.names.ResultsStream())
	if err != nil {
		s.t.Fatal(err)
	}
	var found *jetstream.RawStreamMsg
	s.wait("agent "+agent+" has a result "+string(o), func() bool {
		found, err = stored.GetLastMsgForSubject(s.t.Context(), s.names.Result(o, agent))
		return err == nil
	})
	return found
}

// logbook is what the worker has logged.
type logbook struct {
	mu  sync.Mutex // guards what follows
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines with that message, decoded.
func (l *logbook) lines(t *testing.T, message string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.text()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}
