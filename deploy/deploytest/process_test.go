package deploytest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a process that runs, with what it has said.
type program struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	over chan struct{}

	mu    sync.Mutex // guards lines
	lines []string
}

func (s *stack) start(name string, args, env []string) *program {
	s.t.Helper()
	p := &program{t: s.t, name: name, cmd: exec.Command(filepath.Join(bin, name), args...), over: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, env...)
	out, in, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	in.Close()
	go func() {
		defer close(p.over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
		out.Close()
	}()
	s.t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, strings.Join(p.said(), "\n"))
		}
	})
	return p
}

// end sends a signal and waits until the process is gone.
func (p *program) end(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.over:
	case <-time.After(patience):
		p.t.Errorf("%s does not stop", p.name)
		_ = p.cmd.Process.Kill()
	}
}

func (p *program) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

func (p *program) waitFor(text string) (line string) {
	p.t.Helper()
	until(p.t, p.name+" says "+text, func() bool {
		for _, l := range p.said() {
			if strings.Contains(l, text) {
				line = l
				return true
			}
		}
		return false
	})
	return line
}

func (s *stack) until(what string, ok func() bool) { s.t.Helper(); until(s.t, what, ok) }

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	over := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("never came true: %s", what)
		}
	}
}
