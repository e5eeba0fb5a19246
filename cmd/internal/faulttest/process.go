package faulttest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// Process is a program that runs. It ends with its test at the latest.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	out  *output
}

// Options say how a Process is run.
type Options struct {
	Args []string
	Env  []string          // all of its environment, save PATH and HOME
	Line func(line string) // called with each line of output as it comes; may be nil
}

// Start runs a program.
func Start(tb testing.TB, program string, o Options) *Process {
	tb.Helper()
	p := &Process{done: make(chan struct{}), out: &output{line: o.Line}}
	p.cmd = exec.CommandContext(tb.Context(), program, o.Args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, o.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", program, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its status tells
	}()
	tb.Cleanup(p.Kill)
	return p
}

// Kill ends the process as a crash does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails where it has ended
	<-p.done
}

// Signal sends a signal to the process; one that has ended takes none.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process and returns its exit status; -1: a signal ended it.
func (p *Process) Wait() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Output is what the process wrote so far.
func (p *Process) Output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.all.String()
}

// output keeps what a process writes and tells it line by line.
type output struct {
	line func(line string)

	mu   sync.Mutex // guards what follows
	all  bytes.Buffer
	told int // bytes of whole lines
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	o.all.Write(b)
	var lines []string
	for o.line != nil {
		line, _, whole := bytes.Cut(o.all.Bytes()[o.told:], []byte("\n"))
		if !whole {
			break
		}
		o.told += len(line) + 1
		lines = append(lines, string(line))
	}
	o.mu.Unlock()
	for _, line := range lines {
		o.line(line)
	}
	return len(b), nil
}
