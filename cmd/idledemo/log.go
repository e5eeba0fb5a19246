package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"idlepolicy/cmd/internal/service"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/config"
)

// quiet keeps back what the worker warns of while the screen is in use.
type quiet struct {
	to io.Writer

	mu    sync.Mutex // guards what follows
	held  []byte
	lines int
	loose bool
}

const heldMost = 16 << 10

// Write takes one line, and keeps it back or passes it on.
func (q *quiet) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loose {
		return q.to.Write(line)
	}
	q.lines++
	if len(q.held)+len(line) <= heldMost {
		q.held = append(q.held, line...)
	}
	return len(line), nil
}

// loosen keeps nothing back from now on.
func (q *quiet) loosen() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loose = true
}

// tell ends with a word about what was kept back; where something went wrong, with all of it.
func (q *quiet) tell(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.lines == 0:
	case err != nil && !errors.Is(err, context.Canceled):
		fmt.Fprintf(q.to, "\nwhat the worker and the server warned of:\n%s\n", q.held)
	default:
		fmt.Fprintf(q.to, "\n(the worker logged %s; -log FILE keeps its log)\n", terminal.Plural(q.lines, "warning"))
	}
}

// openLog returns the log of the worker and the server: all of it in a file, else only what is wrong, held back by q.
func openLog(c config.Config, file string, q *quiet) (log *slog.Logger, end func(), err error) {
	if file == "" {
		level := max(c.LogLevel, slog.LevelWarn)
		return slog.New(slog.NewTextHandler(q, &slog.HandlerOptions{Level: level})), func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	return service.NewLog(c, f), func() { _ = f.Close() }, nil
}
