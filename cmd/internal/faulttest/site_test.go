package faulttest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

var names = messages.Names{Prefix: "idlepolicy"}

const (
	takeover   = 2500 * time.Millisecond
	healWithin = natstest.Patience // after the last fault everything must be well again
)

// setup is how a site is built and how much is asked of it.
type setup struct {
	servers  int // 1, or 3 for a cluster
	workers  int
	agents   int
	rate     int
	burst    int
	timeout  time.Duration // of the gateway, as the workers see it
	pause    time.Duration // between two messages of a writer
	faultFor time.Duration
	quiet    time.Duration // the longest pause between two faults
	seed     uint64
	off      string // the rule that is turned off; empty: none

	publishers string // file of those who may publish over HTTP; empty: the workers serve no HTTP
}

func (c setup) http() string {
	if c.publishers == "" {
		return ""
	}
	return "127.0.0.1:0"
}

// programs are the paths of what is run.
type programs struct{ worker, server string }

// site is all of it: servers, workers and the test itself as publisher, gateway and reader of results.
type site struct {
	t        *testing.T
	setup    setup
	programs programs
	servers  []*natsServer
	replicas []*replica
	gateway  *gatewaytest.Gateway
	second   *address
	ca       string
	agents   []string
	conn     *nats.Conn
	js       jetstream.JetStream
	desk     *desk
	stalls   *Stalls
	woken    []time.Time // when frozen workers went on
}

func startSite(t *testing.T, c setup, p programs) *site {
	t.Helper()
	s := &site{t: t, setup: c, programs: p, stalls: WatchStalls(t)}
	for i := range c.agents {
		s.agents = append(s.agents, strconv.Itoa(1001+i))
	}
	s.startGateway()
	startServers(t, s, c.servers)
	s.connect()
	for i := range c.workers {
		r := &replica{site: s, name: "worker" + strconv.Itoa(i+1)}
		if *keepLogs != "" {
			if err := r.keepLog(*keepLogs); err != nil {
				t.Fatal(err)
			}
		}
		s.replicas = append(s.replicas, r)
		r.start()
	}
	s.desk = openDesk(s)
	return s
}

// startGateway starts the simulator with everything that can go wrong with a gateway in small doses.
func (s *site) startGateway() {
	s.t.Helper()
	var err error
	if s.gateway, err = gatewaytest.Start(gatewaytest.Options{Seed: s.setup.seed}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.gateway.Close)
	s.second = newAddress(s.t, s.gateway.URL())
	if s.ca, err = s.gateway.WriteCA(s.t.TempDir()); err != nil {
		s.t.Fatal(err)
	}
	for _, rule := range []gatewaytest.Rule{
		{Share: .02, LandAfter: s.setup.timeout * 6 / 10},   // held up on its way, whatever becomes of its client
		{Share: .003, LandAfter: s.setup.timeout * 12 / 10}, // so long that its client has given up
		{Share: .05, Latency: 50 * time.Millisecond, Jitter: 300 * time.Millisecond},
		{Share: .003, Fault: gatewaytest.Cut, Lands: true},
		{Share: .002, Fault: gatewaytest.Cut},
		{Share: .001, Fault: gatewaytest.CutJSON},
		{Share: .001, Fault: gatewaytest.HTML},
		{Share: .0005, Fault: gatewaytest.Hang},
		{Share: .02, Retcode: "100-007"},
		{Share: .01, Retcode: "000-004"},
		{Share: .0005, Status: 503},
		{Share: .0002, Status: 429, RetryAfter: time.Second},
	} {
		s.gateway.On("", rule)
	}
}

func (s *site) connect() {
	s.t.Helper()
	var err error
	s.conn, err = nats.Connect(s.natsURLs(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Name("faulttest"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.conn.Close)
	if s.js, err = jetstream.New(s.conn); err != nil {
		s.t.Fatal(err)
	}
}

// try does something until it succeeds, as people do while servers come and go.
func (s *site) try(ctx context.Context, what string, do func(ctx context.Context) error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(healWithin); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = do(try)
		cancel()
		if err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}
