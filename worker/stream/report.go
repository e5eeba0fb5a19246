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

// plainError is an error of the library in words for people. errors.Is and errors.As see through it.
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

// reports keep what a connection meets again and again, several times a second, from filling the log.
type reports struct {
	inbox string // the prefix of reply subjects; empty: _INBOX

	mu   sync.Mutex // guards said
	said map[string]time.Time
}

const (
	reportAgain = time.Minute
	maxReports  = 100
	inboxesName = "_INBOX"
)

// withoutInboxes cuts the names of reply subjects, which are made up for each connection.
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
	if last, ok := s.said[text]; ok && time.Since(last) < reportAgain {
		return false
	}
	if s.said == nil || len(s.said) >= maxReports {
		s.said = map[string]time.Time{}
	}
	s.said[text] = time.Now()
	return true
}

// forget lets everything be reported again: a connection that was found and is lost once more is news.
func (s *reports) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.said)
}
