package bench

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"idlepolicy/worker/stream/natstest"
)

// process is a part of a scenario in a process of its own. It ends with its test, also with one that dies.
type process struct {
	tb    testing.TB
	role  string
	cmd   *exec.Cmd
	in    io.WriteCloser // nil: it is a program of its own, which takes no orders
	out   *json.Decoder
	ready string
	ended bool
}

func start(tb testing.TB, role string, environment ...string) *process {
	tb.Helper()
	p := &process{tb: tb, role: role, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), append(environment, roleVariable+"="+role)...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err == nil {
		p.in = in
		var out io.Reader
		out, err = p.cmd.StdoutPipe()
		p.out = json.NewDecoder(out)
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		tb.Fatalf("start %s: %v", role, err)
	}
	tb.Cleanup(p.end)
	p.ready = p.reply().Text
	return p
}

// program starts one of the commands: what it holds is not what this test's own program would.
func program(tb testing.TB, command string, environment ...string) *process {
	tb.Helper()
	p := &process{tb: tb, role: command, cmd: exec.Command(built(tb, command))}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), environment...), os.Stderr
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", command, err)
	}
	tb.Cleanup(p.end)
	return p
}

var programs = map[string]string{} // that were built

// built builds a command as the image has it, once.
func built(tb testing.TB, command string) string {
	tb.Helper()
	if file := programs[command]; file != "" {
		return file
	}
	file := filepath.Join(buildDir, command)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "idlepolicy/cmd/"+command)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", command, err, out)
	}
	programs[command] = file
	return file
}

func (p *process) ask(o order) reply {
	p.tb.Helper()
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		p.tb.Fatalf("%s: %v", p.role, err)
	}
	return p.reply()
}

func (p *process) reply() reply {
	p.tb.Helper()
	var r reply
	err := p.out.Decode(&r)
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	if err != nil {
		p.tb.Fatalf("%s: %v", p.role, err)
	}
	return r
}

func (p *process) usage() usage { p.tb.Helper(); return p.ask(order{Do: "usage"}).Usage }

// memory tells how much memory the process holds and held at most.
func (p *process) memory() (rss, peak int64) { return memoryOf(strconv.Itoa(p.cmd.Process.Pid)) }

// end ends the process cleanly and waits for it.
func (p *process) end() {
	if p.ended {
		return
	}
	p.ended = true
	if p.in != nil {
		_ = p.in.Close()
	} else {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	late := time.AfterFunc(natstest.Patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait()
}

// kill ends the process as a crash does, stop as an operator does.
func (p *process) kill() { p.signal(syscall.SIGKILL) }
func (p *process) stop() { p.signal(syscall.SIGTERM) }

func (p *process) signal(s syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Fatalf("%s: %v", p.role, err)
	}
}
