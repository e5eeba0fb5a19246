package daytest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"idlepolicy/cmd/internal/service"
	"idlepolicy/config"
	"idlepolicy/worker/gateway/gatewaytest"
)

// asWorker names the variable that makes the test's own program a worker, so that it can be killed for real.
const asWorker = "IDLE_DAYTEST_WORKER"

func TestMain(m *testing.M) {
	text := os.Getenv(asWorker)
	if text == "" {
		flag.Parse()
		if !*full {
			_ = flag.Set("test.parallel", "8") // they wait for people most of the time
		}
		os.Exit(m.Run())
	}
	var c config.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	w := service.Service{Config: c, Name: service.ProcessName(), Version: "test", Log: newLog(os.Stderr)}
	if err := w.Run(context.Background()); err != nil {
		panic(err)
	}
}

// logbook is all that workers have logged.
type logbook struct {
	mu  sync.Mutex // guards what follows
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *show {
		_, _ = os.Stderr.Write(p)
	}
	return l.buf.Write(p)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines that hold all of the words.
func (l *logbook) lines(words ...string) []string {
	var found []string
	for line := range strings.Lines(l.text()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

func newLog(to interface{ Write([]byte) (int, error) }) *slog.Logger {
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start starts a worker. What it returns stops it cleanly; the end of the test does, too.
func (s *site) start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	w := service.Service{
		Config: s.config, Name: "worker", Version: "test", Log: newLog(s.log), Page: func(address string) { s.page.Store(&address) },
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			s.t.Errorf("the worker ended: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// startProcess starts a worker in a process of its own. What it returns kills it; the end of the test does, too.
func (s *site) startProcess() (kill func()) {
	s.t.Helper()
	text, err := json.Marshal(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	p := exec.CommandContext(context.WithoutCancel(s.t.Context()), os.Args[0])
	p.Env, p.Stderr = append(os.Environ(), asWorker+"="+string(text)), s.log
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

// eachWay runs a test once with workers that are stopped cleanly and once with workers that are killed: what begin
// returns ends them so.
func eachWay(t *testing.T, test func(s *site)) {
	t.Helper()
	t.Parallel()
	for name, begin := range map[string]func(*site) func(){"stopped": (*site).start, "killed": (*site).startProcess} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, gatewaytest.Options{})
			s.begin = func() func() { return begin(s) }
			test(s)
		})
	}
}
