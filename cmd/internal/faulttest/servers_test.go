package faulttest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/stream/natstest"
)

// natsServer is one server of the cluster, or the only one: a process that can be killed and started again with what
// it had stored.
type natsServer struct {
	name   string
	port   int
	health string // URL
	config string // file
	proc   *Process
}

// startServers starts a single server, or a cluster of several.
func startServers(t *testing.T, s *site, n int) {
	t.Helper()
	ports := make([]int, 3*n) // a server that is to be found again after its end cannot let the system choose
	for i := range ports {
		ports[i] = natstest.FreePort(t)
	}
	client, monitor, cluster := ports[:n], ports[n:2*n], ports[2*n:]
	var routes []string
	for _, p := range cluster {
		routes = append(routes, "nats://127.0.0.1:"+strconv.Itoa(p))
	}
	for i := range n {
		name := fmt.Sprintf("server%d", i+1)
		dir := t.TempDir()
		text := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\nhttp: 127.0.0.1:%d\njetstream { store_dir: %q }\n",
			name, client[i], monitor[i], dir)
		if n > 1 {
			text += fmt.Sprintf("cluster { name: site, listen: 127.0.0.1:%d, routes: [%s] }\n", cluster[i], strings.Join(routes, ", "))
		}
		srv := &natsServer{
			name: name, port: client[i], config: filepath.Join(dir, "server.conf"),
			health: fmt.Sprintf("http://127.0.0.1:%d/healthz", monitor[i]),
		}
		if err := os.WriteFile(srv.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.servers = append(s.servers, srv)
		s.startServer(srv)
	}
	for _, srv := range s.servers {
		if !srv.healthyWithin(healWithin) {
			t.Fatalf("%s did not get ready:\n%s", srv.name, srv.proc.Output())
		}
	}
}

func (s *site) startServer(srv *natsServer) {
	s.t.Helper()
	srv.proc = Start(s.t, s.programs.server, Options{Args: []string{"-c", srv.config}})
}

// natsURLs are the addresses of all servers, as the worker's variable wants them.
func (s *site) natsURLs() string {
	var urls []string
	for _, srv := range s.servers {
		urls = append(urls, "nats://127.0.0.1:"+strconv.Itoa(srv.port))
	}
	return strings.Join(urls, ",")
}

// healthyWithin waits until the server says that it is there and has caught up with the others.
func (srv *natsServer) healthyWithin(d time.Duration) bool {
	client := &http.Client{Timeout: 10 * time.Second}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(srv.health)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}
