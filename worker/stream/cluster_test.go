package stream

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// newCluster is a site on three servers; its own connection knows them all.
func newCluster(t *testing.T) (*site, []*server.Server) {
	t.Helper()
	s := &site{t: t, gateway: &fakeGateway{}, hold: 50 * time.Millisecond, layout: testLayout()}
	s.layout.Replicas = 3
	var servers []*server.Server
	var routes []*url.URL
	var ports []int
	for range 3 {
		port := natstest.FreePort(t)
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	}
	var clients []string
	for i := range 3 {
		srv, err := server.NewServer(&server.Options{
			ServerName: "n" + strconv.Itoa(i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		servers = append(servers, srv)
	}
	for _, srv := range servers {
		if !srv.ReadyForConnections(natstest.Patience) {
			t.Fatal("a server does not get ready")
		}
		clients = append(clients, srv.ClientURL())
	}
	s.server, s.via = servers[0], strings.Join(clients, ",")
	s.nc = natstest.Connect(t, s.via, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	var err error
	if s.js, err = jetstream.New(s.nc); err != nil {
		t.Fatal(err)
	}
	s.wait("the cluster has a leader", func() bool { // until then it answers nothing
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.js.AccountInfo(ctx)
		return err == nil
	})
	s.wait("the cluster takes streams", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := s.layout.Ensure(ctx, s.js)
		return err == nil
	})
	return s, servers
}

// The node is killed that leads the changes: nobody does for a while, and the rest is applied afterwards.
func TestNodeOfThreeIsKilled(t *testing.T) {
	s, servers := newCluster(t)
	s.policy.Rate = 100
	a, b := s.start("a"), s.start("b")
	s.wait("one of them is the owner", func() bool {
		return a.owner.State().Role == view.RoleOwner || b.owner.State().Role == view.RoleOwner
	})
	for i := range 10 {
		s.signIn(strconv.Itoa(1001+i), "g")
	}
	var all []uint64
	publish := func(n int) {
		for range n {
			all = append(all, s.publish(fmt.Sprintf(`{"agent_id":"%d","flag":"%d"}`, 1001+len(all)%10, len(all)),
				jetstream.WithMsgID("m"+strconv.Itoa(len(all)))))
		}
	}
	publish(50)
	s.wait("calls are made", func() bool { return len(s.gateway.made()) > 0 })
	st, err := s.js.Stream(t.Context(), s.layout.Names.ChangesStream())
	if err != nil {
		t.Fatal(err)
	}
	for _, srv := range servers {
		if srv.Name() == st.CachedInfo().Cluster.Leader {
			srv.Shutdown()
		}
	}
	publish(50)
	s.waitFinished()
	s.wantOneEndingEach(all)
	last := map[string]string{}
	for _, r := range s.results() {
		if r.Outcome == "applied" {
			last[r.AgentID] = r.Flag
		}
	}
	for i := range 10 {
		if agent, want := strconv.Itoa(1001+i), strconv.Itoa(90+i); last[agent] != want {
			t.Errorf("agent %s is left with %s, want %s", agent, last[agent], want)
		}
	}
}
