package status

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// seldom keeps whoever reaches the server from filling the log with requests that are refused: of each kind one is logged a minute,
// and the next line says how many were left out.
type seldom struct {
	mu    sync.Mutex // guards kinds
	kinds map[string]*refusals
}

// refusals are those of one kind.
type refusals struct {
	logged  time.Time // when one was logged last
	leftOut int       // since then
}

const logAgain = time.Minute

// warn logs a refusal, unless one of its kind was logged lately. The kind must not come from outside.
func (s *seldom) warn(log *slog.Logger, kind, what string, args ...any) {
	s.mu.Lock()
	if s.kinds == nil {
		s.kinds = map[string]*refusals{}
	}
	r := s.kinds[kind]
	if r == nil {
		r = &refusals{}
		s.kinds[kind] = r
	}
	now := time.Now()
	if now.Sub(r.logged) < logAgain {
		r.leftOut++
		s.mu.Unlock()
		return
	}
	leftOut := r.leftOut
	*r = refusals{logged: now}
	s.mu.Unlock()
	log.Warn(what, append(args, "not_logged_before", leftOut)...) //nolint:sloglint // the callers have constants
}

// seldomWriter takes the lines that the HTTP library logs, which are about single connections: a failed handshake, for instance.
type seldomWriter struct {
	to  *seldom
	log *slog.Logger
}

func (w seldomWriter) Write(line []byte) (int, error) {
	w.to.warn(w.log, "connection", "HTTP connection", "why", strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}
