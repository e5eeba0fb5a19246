package stream

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// troubles are what is wrong at the moment. Each is logged once when it comes up and once when it is over, however often
// it is met in between.
type troubles struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	now    map[string]string
	denied string // what the server denied last
	when   time.Time
}

// deniedShown is how long something that was denied is shown: what the worker needs, it asks for more often than that.
const deniedShown = 5 * time.Second

// meet takes note of what came of something: a nil error says that it works.
func (t *troubles) meet(what string, err error) {
	text := ""
	if err != nil {
		text = what + ": " + plain(err).Error()
	}
	t.mu.Lock()
	was := t.now[what]
	switch {
	case text != "" && t.now == nil:
		t.now = map[string]string{what: text}
	case text != "":
		t.now[what] = text
	default:
		delete(t.now, what)
	}
	t.mu.Unlock()
	switch text {
	case was:
	case "":
		t.log.Info("trouble is over", "what", what)
	default:
		t.log.Warn("trouble", "why", text)
	}
}

// forget lets go of all troubles: what had them is over.
func (t *troubles) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.now)
}

// deny takes note of what only the connection learns; it is logged there.
func (t *troubles) deny(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied, t.when = plain(err).Error(), time.Now()
}

// String returns all that is wrong in one line; empty: nothing.
func (t *troubles) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Sorted(maps.Values(t.now))
	if t.denied != "" && time.Since(t.when) < deniedShown {
		all = append(all, t.denied)
	}
	return strings.Join(all, "; ")
}
