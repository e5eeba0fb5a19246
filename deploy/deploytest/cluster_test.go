package deploytest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Three servers with the configuration that is delivered, a worker that makes three replicas of everything, and a change
// that is applied.
func TestThreeServersKeepReplicas(t *testing.T) {
	s := &stack{t: t, compose: loadCompose(t), dir: t.TempDir()}
	routes := s.startCluster()
	s.startGateway()
	env, args := s.adapt("worker-a", "127.0.0.1:0")
	s.start("idleworker", args, append(env, "IDLE_REPLICAS=3")).waitFor(`"role":"owner"`)
	results, err := s.as("observer").SubscribeSync("idlepolicy.result.*.1001")
	if err != nil {
		t.Fatal(err)
	}
	publisher := s.as("publisher")
	answer, err := publisher.Request("idlepolicy.changes", []byte(`{"agent_id":"1001","flag":"false"}`), patience)
	if err != nil || !strings.Contains(string(answer.Data), `"seq"`) {
		t.Fatalf("the change is not stored: %v %v", answer, err)
	}
	wantApplied(t, results, "false")
	s.wantReplicas("IDLEPOLICY_CHANGES", "IDLEPOLICY_RESULTS", "KV_idlepolicy_sessions")
	s.wantNoStrangerAsServer(routes[0])
}

// startCluster starts the three and returns where they listen for each other.
func (s *stack) startCluster() (routes []string) {
	s.t.Helper()
	args := []string{fromRoot("deploy", "nats", "make-certificates"), s.at("secrets")}
	if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("make-certificates: %v\n%s", err, out)
	}
	var free []net.Listener // servers have to know each other's ports beforehand
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		free, routes = append(free, l), append(routes, fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port))
	}
	for _, l := range free {
		l.Close()
	}
	list := "[tls://" + strings.Join(routes, ", tls://") + "]"
	var ports []string
	for i, route := range routes {
		ports = append(ports, s.member(fmt.Sprintf("nats-%d", i+1), strings.TrimPrefix(route, "localhost:"), list))
	}
	s.places = append(s.places, "nats:4222", ports[0])
	return routes
}

// member starts one server of the cluster and returns where clients reach it.
func (s *stack) member(name, port, routes string) string {
	s.t.Helper()
	dir := s.at(name)
	for _, d := range []string{dir, filepath.Join(dir, "data"), s.at("gateway")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	text := strings.NewReplacer("/etc/nats", dir, `"/data"`, `"`+dir+`/data"`, "0.0.0.0:4222", "127.0.0.1:-1",
		"127.0.0.1:8222", "127.0.0.1:-1", "0.0.0.0:6222", "127.0.0.1:"+port).Replace(read(s.t, "deploy", "nats", "cluster.conf"))
	for file, content := range map[string]string{"cluster.conf": text, "accounts.conf": read(s.t, "deploy", "nats", "accounts.conf")} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Symlink(s.at("secrets/server"), filepath.Join(dir, "tls")); err != nil {
		s.t.Fatal(err)
	}
	p := s.start("nats-server", []string{"--config", filepath.Join(dir, "cluster.conf"), "--ports_file_dir", dir},
		[]string{"NATS_NAME=" + name, "NATS_ROUTES=" + routes})
	var ports struct {
		Nats []string `json:"nats"`
	}
	file := filepath.Join(dir, fmt.Sprintf("nats-server_%d.ports", p.cmd.Process.Pid))
	s.until(name+" names its ports", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0
	})
	u, err := url.Parse(ports.Nats[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return "localhost:" + u.Port()
}

// wantReplicas asks as the operator whether both followers of each stream have all of it.
func (s *stack) wantReplicas(streams ...string) {
	s.t.Helper()
	js, err := jetstream.New(s.as("operator"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range streams {
		s.until(name+" has three replicas", func() bool {
			stream, err := js.Stream(s.t.Context(), name)
			if err != nil {
				return false
			}
			c := stream.CachedInfo().Cluster
			return c != nil && len(c.Replicas) == 2 && c.Replicas[0].Current && c.Replicas[1].Current
		})
	}
}

// wantNoStrangerAsServer: a user's certificate opens no door that is meant for servers.
func (s *stack) wantNoStrangerAsServer(route string) {
	s.t.Helper()
	for user, want := range map[string]bool{"server": true, "publisher": false, "worker": false} {
		if err := s.joins(route, user); (err == nil) != want {
			s.t.Errorf("let in as a server with the certificate of %s: %v, want %v (%v)", user, err == nil, want, err)
		}
	}
}

// joins tells whether a server takes whoever comes with this certificate for one of its own.
func (s *stack) joins(route, user string) error {
	dir := s.at("secrets/" + user)
	pair, err := tls.LoadX509KeyPair(dir+"/tls.crt", dir+"/tls.key")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(dir + "/ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	conn, err := tls.Dial("tcp", route, &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{pair},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(`CONNECT {"cluster":"idlepolicy","name":"stranger"}` + "\r\nPING\r\n")); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "PONG":
			return nil
		case strings.HasPrefix(line, "-ERR"):
			return errors.New(line)
		}
	}
	return io.ErrUnexpectedEOF
}
