package stream

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// plainError explains an error of the library in words for people. It unwraps to that error.
type plainError struct{ error }

func (e plainError) Unwrap() error { return e.error }

func (e plainError) Error() string {
	switch {
	case errors.Is(e.error, nats.ErrStaleConnection):
		return "the NATS server does not answer although it is connected: does it hang, or the network?"
	case errors.Is(e.error, nats.ErrReconnectBufExceeded): // "outbound buffer limit exceeded", where nothing is buffered
		return "there is no connection to NATS at the moment"
	}
	text := e.error.Error()
	var answer *jetstream.APIError
	if errors.As(e.error, &answer) && answer.Description != "" && text == answer.Error() {
		return answer.Description
	}
	return strings.TrimPrefix(text, "nats: ")
}

func plain(err error) error {
	if err == nil {
		return nil
	}
	return plainError{err}
}

// reports prevents repeated errors of a connection from filling the log.
type reports struct {
	inbox string // the prefix of reply subjects; empty: _INBOX

	mu       sync.Mutex // guards reported
	reported map[string]time.Time
}

const (
	reportAgain = time.Minute
	maxReports  = 100
	inboxesName = "_INBOX"
)

// withoutInboxes removes the names of reply subjects, which are random for each connection.
func (s *reports) withoutInboxes(text string) string {
	prefix := cmp.Or(s.inbox, inboxesName) + "."
	before, rest, found := strings.Cut(text, prefix)
	if !found {
		return text
	}
	return before + prefix + strings.TrimLeftFunc(rest, func(r rune) bool { return r != '"' && r != ' ' })
}

// fresh reports whether a text was not reported lately.
func (s *reports) fresh(text string) bool {
	text = s.withoutInboxes(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.reported[text]; ok && time.Since(last) < reportAgain {
		return false
	}
	if s.reported == nil || len(s.reported) >= maxReports {
		s.reported = map[string]time.Time{}
	}
	s.reported[text] = time.Now()
	return true
}

// forget lets everything be reported again. It is called when a connection is made.
func (s *reports) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.reported)
}
