package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// typist is somebody who was asked and types nothing.
type typist struct{ asked, leaves chan struct{} }

func (p typist) Read([]byte) (int, error) {
	p.asked <- struct{}{}
	<-p.leaves
	return 0, io.EOF
}

func TestInterruptDuringAPrompt(t *testing.T) {
	s := newSite(t)
	s.letter(failed("1001", "c-1", 1), "{}")
	for _, args := range []string{"publish -", "session put 1001 -", "dead purge 1"} {
		p := typist{make(chan struct{}), make(chan struct{})}
		ctx, interrupt := context.WithCancel(t.Context())
		go func() { <-p.asked; interrupt() }()
		var out, errout bytes.Buffer
		status := run(ctx, strings.Fields(args), s.environment, p, &out, &errout)
		if close(p.leaves); status != statusFailed || !strings.HasSuffix(errout.String(), "idlectl: interrupted\n") {
			t.Errorf("%s: exit status %d after an interrupt: %s", args, status, errout.String())
		}
	}
	s.run("dead", "list").want(t, statusFine, "c-1")
}

func TestInterruptedBatchFails(t *testing.T) {
	s := newSite(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var errout watched
	errout.see = func(text string) {
		if strings.Contains(text, "nothing is stored of batch b yet") {
			interrupt()
		}
	}
	status := run(ctx, []string{"batch", "b"}, s.environment, strings.NewReader(""), io.Discard, &errout)
	if text := errout.String(); status != statusFailed || !strings.Contains(text, "interrupted: there is no summary of batch b yet") {
		t.Errorf("exit status %d: %s", status, text)
	}
}

// watched tells of all that was written so far.
type watched struct {
	bytes.Buffer
	see func(text string)
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	w.see(w.String())
	return n, err
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwrittenAnswerFails(t *testing.T) {
	s := newSite(t)
	for _, args := range []string{"session list", "session list --json", "dead list", "results --no-follow --last 1", "--help"} {
		s.result(failed("1001", "c-1", 1))
		var errout bytes.Buffer
		status := run(t.Context(), strings.Fields(args), s.environment, strings.NewReader(""), full{}, &errout)
		if status != statusFailed || !strings.Contains(errout.String(), "no space left") {
			t.Errorf("%s: exit status %d: %s", args, status, errout.String())
		}
	}
}

func TestShellCompletesFileNames(t *testing.T) {
	s := newSite(t)
	for args, want := range map[string]string{"publish": "Default", "rate": "NoFileComp", "explain": "NoFileComp", "dead show": "NoFileComp", "dead": "NoFileComp"} {
		s.run(append(append([]string{"__complete"}, strings.Fields(args)...), "")...).want(t, statusFine, "ShellCompDirective"+want+"\n")
	}
}
