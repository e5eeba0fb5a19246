package gateway

import (
	"slices"
	"sync"
	"time"
)

// lines are the connections that wait for the next call, by where they lead. The last one that was used serves first, so
// that those that are not needed grow old.
type lines struct {
	mu      sync.Mutex // guards what follows
	idle    map[server][]*line
	other   map[server]struct{} // these speak HTTP/2
	sweeper *time.Timer
}

// take returns a line that is as good as can be known, or nil. It tells whether the server is one that speaks HTTP/2,
// for which there are no lines.
func (s *lines) take(to server) (l *line, http2 bool) {
	for {
		l, http2 = s.last(to)
		if l == nil || (time.Since(l.used) < idleTimeout && l.quiet()) {
			return l, http2
		}
		_ = l.conn.Close() // the gateway has closed it, or is about to
	}
}

func (s *lines) last(to server) (l *line, http2 bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := s.idle[to]
	if len(idle) == 0 {
		_, http2 = s.other[to]
		return nil, http2
	}
	l = idle[len(idle)-1]
	idle[len(idle)-1] = nil
	s.idle[to] = idle[:len(idle)-1]
	return l, false
}

// give takes a line back after a call. One that may still bring something of that call must not serve another.
func (s *lines) give(to server, l *line) {
	l.used = time.Now()
	if !l.clear {
		_ = l.conn.Close() // nothing of it is of interest
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = map[server][]*line{}
	}
	s.idle[to] = append(s.idle[to], l)
	if s.sweeper == nil {
		s.sweeper = time.AfterFunc(idleTimeout, s.sweep)
	}
}

// speaksHTTP2 notes it of a server.
func (s *lines) speaksHTTP2(to server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.other == nil {
		s.other = map[server]struct{}{}
	}
	s.other[to] = struct{}{}
}

// sweep closes the lines that have waited too long, and comes again while there are others.
func (s *lines) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := 0
	for to, idle := range s.idle {
		s.idle[to] = slices.DeleteFunc(idle, func(l *line) bool {
			old := time.Since(l.used) >= idleTimeout
			if old {
				_ = l.conn.Close() // nothing of it is of interest
			}
			return old
		})
		left += len(s.idle[to])
	}
	s.sweeper = nil
	if left > 0 {
		s.sweeper = time.AfterFunc(idleTimeout/4, s.sweep)
	}
}

// closeAll closes the lines that wait.
func (s *lines) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, idle := range s.idle {
		for _, l := range idle {
			_ = l.conn.Close() // nothing of it is of interest
		}
	}
	clear(s.idle)
	if s.sweeper != nil {
		s.sweeper.Stop()
		s.sweeper = nil
	}
}
