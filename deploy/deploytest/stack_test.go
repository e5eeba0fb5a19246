package deploytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// stack is what compose.yaml describes, as processes: the same programs, arguments, variables, certificates and server
// configuration. Only places differ: folders of the test for volumes, and ports chosen by the system.
type stack struct {
	t       *testing.T
	compose *composeFile
	dir     string
	places  []string // what is replaced by what: host names with ports
}

// patience is for a machine that is busy with other tests.
const patience = 5 * time.Minute

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, compose: loadCompose(t), dir: t.TempDir()}
	for _, dir := range []string{"secrets", "data", "gateway", "etc"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	args := s.compose.Services["certificates"].Command
	certificates := exec.Command(args[0], append([]string{fromRoot("deploy", "nats", filepath.Base(args[1])), s.at(args[2])}, args[3:]...)...)
	if out, err := certificates.CombinedOutput(); err != nil {
		t.Fatalf("make-certificates: %v\n%s", err, out)
	}
	s.startNats()
	s.startGateway()
	return s
}

func (s *stack) at(path string) string { return filepath.Join(s.dir, path) }

// startNats starts the server with the configuration that is delivered. It writes down which ports it got.
func (s *stack) startNats() {
	s.t.Helper()
	for _, name := range []string{"nats-server.conf", "accounts.conf"} {
		text := read(s.t, "deploy", "nats", name)
		for _, place := range [][2]string{
			{"/etc/nats", s.at("etc")},
			{`"/data"`, `"` + s.at("data") + `"`},
			{"0.0.0.0:4222", "127.0.0.1:-1"},
			{"127.0.0.1:8222", "127.0.0.1:-1"},
		} {
			if name == "nats-server.conf" && !strings.Contains(text, place[0]) {
				s.t.Fatalf("%s does not say %s any more", name, place[0])
			}
			text = strings.ReplaceAll(text, place[0], place[1])
		}
		if err := os.WriteFile(s.at("etc/"+name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Symlink(s.at("secrets/server"), s.at("etc/tls")); err != nil {
		s.t.Fatal(err)
	}
	p := s.start("nats-server", []string{"--config", s.at("etc/nats-server.conf"), "--ports_file_dir", s.dir}, nil)
	var ports struct {
		Nats []string `json:"nats"`
	}
	file := s.at(fmt.Sprintf("nats-server_%d.ports", p.cmd.Process.Pid))
	s.until("the server names its ports", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0
	})
	u, err := url.Parse(ports.Nats[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.places = append(s.places, "nats:4222", "localhost:"+u.Port())
}

func (s *stack) startGateway() {
	s.t.Helper()
	env, args := s.adapt("gateway", "127.0.0.1:0")
	p := s.start("idledemo", args, env)
	line := p.waitFor("simulated gateway at ")
	u, err := url.Parse(line[strings.LastIndex(line, "https://"):])
	if err != nil {
		s.t.Fatal(err)
	}
	s.places = append(s.places, "gateway:8043", "localhost:"+u.Port())
}

// worker starts a worker and returns it with the address of its page.
func (s *stack) worker(name string) (*program, string) {
	s.t.Helper()
	env, args := s.adapt(name, "127.0.0.1:0")
	p := s.start("idleworker", args, env)
	var line struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(p.waitFor(`"status page"`)), &line); err != nil {
		s.t.Fatal(err)
	}
	return p, line.URL
}

// adapt returns the variables and arguments of a service with the test's places, and the address it shall listen on.
func (s *stack) adapt(name, listen string) (env, args []string) {
	service := s.compose.Services[name]
	adapted := func(value string) string {
		if from := service.volumeOf(value); strings.HasPrefix(value, "/") && from != "" {
			return s.at(from)
		}
		return strings.NewReplacer(s.places...).Replace(value)
	}
	for key, value := range service.Environment {
		if key == "IDLE_HTTP_ADDR" {
			value = listen
		}
		env = append(env, key+"="+adapted(value))
	}
	for _, a := range service.Command {
		if strings.HasPrefix(a, ":") {
			a = listen
		}
		args = append(args, adapted(a))
	}
	return env, args
}

// as connects like a stranger's program that holds the certificate of a user.
func (s *stack) as(user string) *nats.Conn {
	s.t.Helper()
	dir := s.at("secrets/" + user)
	nc, err := nats.Connect("tls://"+s.places[1], nats.Timeout(patience), nats.RootCAs(dir+"/ca.crt"), nats.ClientCert(dir+"/tls.crt", dir+"/tls.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// status asks a page and returns the status of its answer and what it says; 0 while there is none.
func status(address string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// From nothing to the first applied change, then to one that another worker applies after the first was killed.
func TestWhatComposeDescribesWorks(t *testing.T) {
	s := newStack(t)
	began := time.Now()
	first, firstPage := s.worker("worker-a")
	s.until("the first worker is ready", func() bool { code, _ := status(firstPage + "readyz"); return code == http.StatusOK })
	t.Logf("from start to ready: %v", time.Since(began).Round(time.Millisecond))
	_, page := s.worker("worker-b")
	s.until("the second worker is ready", func() bool { code, _ := status(page + "readyz"); return code == http.StatusOK })
	s.asProbes(page)
	s.asOperator()
	publisher, observer := s.as("publisher"), s.as("observer")
	results, err := observer.SubscribeSync("idlepolicy.result.*.1001")
	if err != nil {
		t.Fatal(err)
	}
	if err := observer.Flush(); err != nil {
		t.Fatal(err)
	}
	for i, flag := range []string{"false", "true"} {
		if err := publisher.Publish("idlepolicy.changes", fmt.Appendf(nil, `{"agent_id":"1001","flag":%q}`, flag)); err != nil {
			t.Fatal(err)
		}
		wantApplied(t, results, flag)
		if i == 0 {
			first.end(os.Kill)
		}
	}
}

func wantApplied(t *testing.T, results *nats.Subscription, flag string) {
	t.Helper()
	for {
		m, err := results.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Outcome, Retcode, Flag string }
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		if r.Outcome == "waiting" {
			continue // the simulator may still be handing its sessions over
		}
		if r.Outcome != "applied" || r.Retcode != "0" || r.Flag != flag {
			t.Errorf("result %s, want %s applied", m.Data, flag)
		}
		return
	}
}

// asProbes asks what Kubernetes, containers and Prometheus ask.
func (s *stack) asProbes(page string) {
	s.t.Helper()
	for _, path := range []string{"healthz", "readyz", "metrics", ""} {
		if code, text := status(page + path); code != http.StatusOK {
			s.t.Errorf("/%s: %d %s", path, code, text)
		}
	}
	env, _ := s.adapt("worker-b", strings.Trim(strings.TrimPrefix(page, "http://"), "/"))
	for _, flag := range []string{s.compose.Services["worker-b"].Healthcheck.Test[2], "-check"} {
		cmd := exec.Command(filepath.Join(bin, "idleworker"), flag)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Errorf("idleworker %s: %v\n%s", flag, err, out)
		}
	}
}

func (s *stack) asOperator() {
	s.t.Helper()
	env, _ := s.adapt("idlectl", "")
	cmd := exec.Command(filepath.Join(bin, "idlectl"), "status")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("idlectl status: %v\n%s", err, out)
	}
}

// What pods ask for is there: the paths of all probes and of the monitor.
func TestPathsOfProbesAreServed(t *testing.T) {
	served := help(t, "idleworker")
	paths := map[string]bool{}
	for _, c := range containers(t) {
		for _, m := range c.site.monitors {
			paths[m.Spec.Endpoints[0].Path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if !strings.Contains(served, path) {
			t.Errorf("nothing is served at %s", path)
		}
	}
}
