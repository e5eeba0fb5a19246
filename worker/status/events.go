package status

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	refreshEvery = time.Second
	maxWatchers  = 200
	// A stream sends something at least this often, so that a dead connection is detected.
	keepAlive = 10 * time.Second
	// A client that does not read is disconnected after this time.
	eventTimeout = 10 * time.Second
)

// live is the page for all who have it open. It is rendered once for all of them, section by section.
type live struct {
	mu       sync.Mutex // guards what follows
	sections []section
	turn     uint64        // grows whenever a section changes
	changed  chan struct{} // closed at the next turn
	watchers int
	wake     chan struct{} // somebody came; made with the first one
}

// section is a part of the page that is sent when it has changed.
type section struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
	turn uint64 // in which it changed last
}

// enter adds a watcher and requests a fresh page; false: there are too many.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers >= maxWatchers {
		return false
	}
	if l.watchers == 0 {
		l.sections = nil // from when somebody last looked
	}
	l.watchers++
	select {
	case l.waker() <- struct{}{}:
	default:
	}
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers--
}

// waker must be called with the lock held.
func (l *live) waker() chan struct{} {
	if l.wake == nil {
		l.wake = make(chan struct{}, 1)
	}
	return l.wake
}

func (l *live) woken() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waker()
}

func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watchers > 0
}

// put stores the current page and wakes those who wait for changes.
func (l *live) put(now []section) {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn, differs := l.turn+1, false
	for i := range now {
		now[i].turn = turn
		if i < len(l.sections) && l.sections[i].HTML == now[i].HTML {
			now[i].turn = l.sections[i].turn
		} else {
			differs = true
		}
	}
	if !differs {
		return
	}
	l.sections, l.turn = now, turn
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// since returns the sections that changed after a turn, the current turn, and a channel that is closed at the next one.
func (l *live) since(turn uint64) (changed []section, now uint64, next <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sections {
		if s.turn > turn {
			changed = append(changed, s)
		}
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return changed, l.turn, l.changed
}

// refresh renders the page every second while anybody has it open.
func (s *Server) refresh(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	woken := s.live.woken()
	for {
		select {
		case <-tick.C:
		case <-woken:
		case <-ctx.Done():
			return
		}
		if s.live.watched() {
			s.live.put(s.sections())
		}
	}
}

// events sends what changes on the page, until the client goes away or the server stops.
func (s *Server) events(stop context.Context, w http.ResponseWriter, r *http.Request) {
	if !s.live.enter() {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.live.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that collected events would hold them back
	e := eventStream{w: w, control: http.NewResponseController(w)}
	e.begin()
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for turn := uint64(0); e.err == nil; {
		changed, now, next := s.live.since(turn)
		turn = now
		e.send(changed)
		select {
		case <-next:
		case <-alive.C:
			e.write("event: alive\ndata: 1\n\n")
		case <-r.Context().Done():
			return
		case <-stop.Done():
			return
		}
	}
}

// eventStream writes server-sent events; the first error ends it.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

// begin lifts the time limits, which are for short answers.
func (e *eventStream) begin() {
	e.err = e.control.SetReadDeadline(time.Time{})
	e.write("retry: 1000\n\n")
}

func (e *eventStream) send(all []section) {
	for _, s := range all {
		text, err := json.Marshal(s)
		if err != nil {
			e.err = err
			return
		}
		e.write("event: section\ndata: " + string(text) + "\n\n")
	}
}

func (e *eventStream) write(text string) {
	if e.err == nil {
		e.err = e.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	}
	if e.err == nil {
		_, e.err = fmt.Fprint(e.w, text)
	}
	if e.err == nil {
		e.err = e.control.Flush()
	}
}
