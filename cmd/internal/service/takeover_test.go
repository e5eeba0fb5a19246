package service

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"idlepolicy/config"
)

// asWorker names the variable that makes the test's own program a worker, so that it can be killed for real.
const asWorker = "IDLE_SERVICE_TEST_WORKER"

func TestMain(m *testing.M) {
	text := os.Getenv(asWorker)
	if text == "" {
		os.Exit(m.Run())
	}
	var c config.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	w := Service{Config: c, Name: "killed", Version: "v1.2.3", Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(context.Background()); err != nil {
		panic(err)
	}
}

// startProcess starts a worker that kill ends at once, as does the end of the test.
func (s *site) startProcess() (kill func()) {
	s.t.Helper()
	text, err := json.Marshal(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	p := exec.CommandContext(context.WithoutCancel(s.t.Context()), os.Args[0])
	p.Env, p.Stderr = append(os.Environ(), asWorker+"="+string(text)), &s.log
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = p.Process.Kill()
		_ = p.Wait() // says that it was killed
	})
	s.t.Cleanup(kill)
	return kill
}

// follow returns what a page that stays open is told of one of its sections.
func (s *site) follow(section string) <-chan string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.page+"/events", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = answer.Body.Close() })
	told := make(chan string, 1000)
	go func() {
		defer close(told)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var part struct{ ID, HTML string }
			data, found := strings.CutPrefix(lines.Text(), "data: ")
			if found && json.Unmarshal([]byte(data), &part) == nil && part.ID == section {
				told <- part.HTML
			}
		}
	}()
	return told
}

// The owner is killed while the page of the standby is open: that page tells of the new owner by itself.
func TestPageOfTheStandbyShowsATakeover(t *testing.T) {
	s := newSite(t)
	ours := s.config
	s.config.HTTPAddr = ""
	kill := s.startProcess()
	s.config = ours
	js := s.connect()
	s.wait("the first worker owns the site", func() bool {
		kv, err := js.KeyValue(t.Context(), s.names.ControlBucket())
		if err != nil {
			return false
		}
		owner, err := kv.Get(t.Context(), "owner")
		return err == nil && strings.Contains(string(owner.Value()), "killed")
	})
	s.start()
	s.wait("the second one stands by", func() bool { r := s.ready(); return r.Ready && r.Role == "standby" && r.Owner == "killed" })
	headlines := s.follow("headline")
	if first := <-headlines; !strings.Contains(first, "killed is the owner") {
		t.Errorf("the page begins with %q", first)
	}
	kill()
	for text := range headlines {
		if strings.Contains(text, "w1 is the owner. The gate is open.") {
			return
		}
	}
	t.Error("the page never told of the new owner")
}
