package stream

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// plainError says an error of the library in its own words alone; what it is can still be asked.
type plainError struct{ error }

func (e plainError) Unwrap() error { return e.error }

func (e plainError) Error() string {
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

// sayings keep what a connection meets again and again, several times a second, from filling the log.
type sayings struct {
	inbox string // the prefix of reply subjects; empty: _INBOX

	mu   sync.Mutex // guards said
	said map[string]time.Time
}

const (
	sayAgain    = time.Minute
	maxSayings  = 100
	inboxesName = "_INBOX"
)

// withoutInboxes cuts the names of reply subjects, which are made up for each connection.
func (s *sayings) withoutInboxes(text string) string {
	prefix := cmp.Or(s.inbox, inboxesName) + "."
	before, rest, found := strings.Cut(text, prefix)
	if !found {
		return text
	}
	return before + prefix + strings.TrimLeftFunc(rest, func(r rune) bool { return r != '"' && r != ' ' })
}

// fresh tells whether this was not said lately.
func (s *sayings) fresh(text string) bool {
	text = s.withoutInboxes(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.said[text]; ok && time.Since(last) < sayAgain {
		return false
	}
	if s.said == nil || len(s.said) >= maxSayings {
		s.said = map[string]time.Time{}
	}
	s.said[text] = time.Now()
	return true
}

// forget lets everything be said anew: a connection that was found again and is lost once more is news.
func (s *sayings) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.said)
}
