package manual

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"idlepolicy/worker/stream/natstest"
)

var runCommands = flag.String("commands", "", "run the commands of the documents whose paths match this `expression`; all of them take three minutes")

// The blocks that need nothing from outside are run one after another, as somebody would who copies them into a terminal, in a copy of
// the tree.
func TestCommandsRun(t *testing.T) {
	if *runCommands == "" {
		t.Log("only read, not run: -commands . runs them")
		return
	}
	wanted := regexp.MustCompile(*runCommands)
	dir := copyOfTheTree(t)
	for _, file := range documents(t) {
		if !wanted.MatchString(file) {
			continue
		}
		found, _ := blocks(t, file)
		shell := &terminal{t: t, dir: dir, ports: map[string]string{}}
		for i, b := range found {
			if i > 0 && b.section != found[i-1].section {
				shell.endAll()
			}
			switch {
			case b.needs != "":
			case b.staysUp:
				shell.keepUp(b)
			default:
				shell.run(b)
			}
		}
		shell.endAll()
	}
}

// terminal runs blocks with the exports of those before them.
type terminal struct {
	t       *testing.T
	dir     string
	exports string
	ports   map[string]string // by the port that the document names, which may be taken on this machine
	up      []*running
}

type running struct {
	cmd  *exec.Cmd
	out  *safeBuffer
	done chan struct{}
}

const patience = natstest.Patience

var port = regexp.MustCompile(`\b(4222|8043|8044|8080|8082)\b`)

// port returns the free port that stands for one of the documents.
func (s *terminal) port(named string) string {
	if s.ports[named] == "" {
		s.ports[named] = strconv.Itoa(natstest.FreePort(s.t))
	}
	return s.ports[named]
}

// command prepares a block. Fixed ports are replaced by free ones, and pages whose address is not named take any.
func (s *terminal) command(text string) (*exec.Cmd, *safeBuffer) {
	s.t.Helper()
	text = port.ReplaceAllStringFunc(text, s.port)
	if strings.Contains(text, "nats-server/v2") {
		text = strings.TrimSpace(text) + " -p " + s.port("4222") + "\n"
	}
	cmd := exec.CommandContext(s.t.Context(), "sh", "-ec", s.exports+text)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "export ") {
			s.exports += line
		}
	}
	out := &safeBuffer{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = append(os.Environ(), "IDLE_HTTP_ADDR=127.0.0.1:0", "IDLE_TAP_ADDR=127.0.0.1:"+s.port("8044"), "IDLE_NATS_URL=nats://127.0.0.1:"+s.port("4222"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run has a child
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd, out
}

func (s *terminal) run(b block) {
	s.t.Helper()
	cmd, out := s.command(b.text)
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(patience, func() { _ = cmd.Cancel() })
		err = cmd.Wait()
		late.Stop()
	}
	if err != nil {
		s.t.Errorf("line %d: %v:\n%s\n%s", b.line, err, b.text, out.text())
		for _, r := range s.up {
			s.t.Logf("beside it:\n%s", r.out.text())
		}
		return
	}
	s.t.Logf("line %d:\n%s\n%s", b.line, b.text, out.text())
}

// keepUp starts a block and waits until it says something, and what it says it listens on can be reached.
func (s *terminal) keepUp(b block) {
	s.t.Helper()
	cmd, out := s.command(b.text)
	r := &running{cmd: cmd, out: out, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		_ = cmd.Wait() // how it ends is seen below
	}()
	s.up = append(s.up, r)
	listens := regexp.MustCompile(`(?i)status page|ready|listens|simulated gateway at|is the owner|ownership|desktops can connect|"outcome"`)
	if strings.Contains(b.text, "idledemo -serve") { // what it publishes itself has ended
		listens = regexp.MustCompile("Everything stays up")
	}
	for over := time.After(patience); !listens.MatchString(out.text()); {
		select {
		case <-r.done:
			s.t.Fatalf("line %d ended:\n%s\n%s", b.line, b.text, out.text())
		case <-over:
			s.t.Fatalf("line %d never came up:\n%s\n%s", b.line, b.text, out.text())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *terminal) endAll() {
	for _, r := range s.up {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT)  // it may have ended
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGCONT) // or been stopped, where a command after that failed
		select {
		case <-r.done:
		case <-time.After(patience):
			s.t.Errorf("%v does not end:\n%s", r.cmd.Args, r.out.text())
		}
	}
	s.up = nil
}

// copyOfTheTree leaves out what is not part of a fresh clone.
func copyOfTheTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		switch {
		case entry.IsDir() && (name == ".git" || name == "bin" || name == "data"):
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(to, 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

type safeBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
