package stream

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// troubles has what is wrong at the moment. Each kind is logged once when it begins and once when it is over, however often it is
// reported in between, and with however many different errors.
type troubles struct {
	mu     sync.Mutex // guards what follows
	log    *slog.Logger
	now    map[string]trouble   // by kind
	warned map[string]time.Time // by kind: when it was logged last
	lost   string               // why there is no connection; empty: there is one
	denied string               // what the server denied last
	when   time.Time
}

const (
	// deniedShown is how long a denied permission is shown. The worker asks for what it needs more often than that.
	deniedShown = 5 * time.Second
	// warnAgain is the least time between two warnings of the same kind.
	warnAgain = time.Minute
)

// trouble is one kind of trouble.
type trouble struct {
	text   string
	logged bool
}

// logTo sets where troubles are logged; before that, they are not.
func (t *troubles) logTo(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = log
}

// lose records that the connection was lost, which the connection itself logs. What fails because of that is shown by String as this one
// trouble, and is not logged.
func (t *troubles) lose(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = "connection to NATS lost at " + time.Now().UTC().Format("15:04:05 UTC")
	if err != nil {
		t.lost += ": " + plain(err).Error()
	}
}

// find records that there is a connection again. What still fails is logged from now on.
func (t *troubles) find() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = ""
}

// report records the outcome of an operation; nil: it works.
func (t *troubles) report(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.now[what]
	if err == nil {
		delete(t.now, what)
		if have.logged {
			t.log.Info("trouble is over", "what", what)
		}
		return
	}
	if t.now == nil {
		t.now, t.warned = map[string]trouble{}, map[string]time.Time{}
	}
	have.text = what + ": " + plain(err).Error()
	if do := remedy(err); do != "" {
		have.text += "; " + do
	}
	if last, warned := t.warned[what]; !have.logged && t.lost == "" && t.log != nil && (!warned || time.Since(last) >= warnAgain) {
		have.logged, t.warned[what] = true, time.Now()
		t.log.Warn("trouble", "why", have.text)
	}
	t.now[what] = have
}

// forget removes all troubles, because the term that had them is over.
func (t *troubles) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.now)
}

// deny records a denied permission, which only the connection learns of, and logs.
func (t *troubles) deny(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied, t.when = plain(err).Error(), time.Now()
}

// String returns everything that is wrong, in one line; empty: nothing is.
func (t *troubles) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost != "" {
		return t.lost
	}
	var all []string
	for _, what := range slices.Sorted(maps.Keys(t.now)) {
		all = append(all, t.now[what].text)
	}
	if t.denied != "" && time.Since(t.when) < deniedShown {
		all = append(all, t.denied)
	}
	return strings.Join(all, "; ")
}
