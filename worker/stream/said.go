package stream

import (
	"errors"
	"regexp"
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
	mu   sync.Mutex // guards said
	said map[string]time.Time
}

const (
	sayAgain    = time.Minute
	maxSayings  = 100
	inboxesName = "_INBOX."
)

// inboxes are made up anew each time.
var inboxes = regexp.MustCompile(`_INBOX\.[^" ]*`)

// fresh tells whether this was not said lately.
func (s *sayings) fresh(text string) bool {
	text = inboxes.ReplaceAllLiteralString(text, inboxesName)
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
