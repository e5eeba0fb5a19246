package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/worker/stream/natstest"
)

// stage is one run of the program in this process, with a temporary directory of its own.
type stage struct {
	t         *testing.T
	tmp       string
	out, err  screen
	interrupt context.CancelFunc
	ended     chan int
}

// screen is read while it is written.
type screen struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// start runs the program; its end is to be waited for with wait.
func start(t *testing.T, stdin string, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, tmp: t.TempDir(), ended: make(chan int, 1)}
	t.Setenv("TMPDIR", s.tmp)
	ctx, interrupt := context.WithCancel(t.Context())
	s.interrupt = interrupt
	t.Cleanup(interrupt)
	go func() { s.ended <- run(ctx, args, strings.NewReader(stdin), &s.out, &s.err) }()
	return s
}

// wait wants an exit status and these texts on the screen, and that nothing is left behind.
func (s *stage) wait(status int, texts ...string) {
	s.t.Helper()
	select {
	case got := <-s.ended:
		if got != status {
			s.t.Errorf("exit status %d, want %d", got, status)
		}
	case <-time.After(natstest.Patience):
		s.t.Errorf("still running after %v", natstest.Patience)
	}
	screen := strings.Join(strings.Fields(s.out.String()+s.err.String()), " ") // the width of a table's columns is free
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			s.t.Errorf("the screen has no %q", text)
		}
	}
	s.nothingLeft()
	if s.t.Failed() {
		s.t.Fatalf("the screen:\n%s\nerrors:\n%s", s.out.String(), s.err.String())
	}
}

// nothingLeft wants no file and no goroutine of the run. A port that is still open has a goroutine.
func (s *stage) nothingLeft() {
	s.t.Helper()
	if left, err := filepath.Glob(filepath.Join(s.tmp, "*")); err != nil || len(left) > 0 {
		s.t.Errorf("left behind: %q (%v)", left, err)
	}
	until(s.t, "the run's goroutines to end", func() bool { return len(goroutines()) == 0 })
}

// goroutines are those that a run may have left behind.
func goroutines() []string {
	all := make([]byte, 4<<20)
	all = all[:runtime.Stack(all, true)]
	var ours []string
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		if strings.Contains(stack, "testing.tRunner") || strings.Contains(stack, "nats.newAsyncCB") {
			continue
		}
		for _, of := range []string{"idlepolicy/", "nats-server/v2/", "nats.go", "net/http"} {
			if strings.Contains(stack, of) {
				ours = append(ours, stack)
				break
			}
		}
	}
	return ours
}

// see waits for a text on the screen.
func (s *stage) see(text string) {
	s.t.Helper()
	until(s.t, "the screen to show "+text, func() bool { return strings.Contains(s.out.String()+s.err.String(), text) })
}

// join connects to the server of the run as any client would.
func (s *stage) join() *nats.Conn {
	s.t.Helper()
	url := regexp.MustCompile(`nats://127\.0\.0\.1:\d+`).FindString(s.out.String())
	return natstest.Connect(s.t, url)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(natstest.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
