package gatewaytest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Desktops are many desktops at work: each signs in, polls, and polls again a moment later, until it is told to stop.
// Set the exported fields, then Start.
type Desktops struct {
	Agents []string
	URL    string // of the gateway, or of what stands before it
	Client *http.Client
	Pause  time.Duration // between an answer and the next poll; default 200 ms
	Every  time.Duration // heartbeats so far apart instead of polls: push mode; 0: polls

	all  []*Desktop
	stop context.CancelFunc
	work sync.WaitGroup

	mu    sync.Mutex // guards what follows
	tally Tally
}

// Tally is what the desktops have seen so far.
type Tally struct {
	Requests int
	SignIns  int
	Retcodes map[string]int  // "": an answer without one
	Errors   []error         // requests without an answer of the gateway's; the last thousand
	Failed   int             // of all requests
	Took     []time.Duration // of heartbeats and sign-ins, since the last Lap
}

const keptErrors = 1000

// Start signs everybody in, a few at a time, and returns when all are. Then they work until Stop.
func (d *Desktops) Start(ctx context.Context) error {
	if d.Pause == 0 {
		d.Pause = 200 * time.Millisecond
	}
	d.tally.Retcodes = map[string]int{}
	working, stop := context.WithCancel(ctx)
	d.stop = stop
	for _, agent := range d.Agents {
		d.all = append(d.all, &Desktop{Agent: agent, URL: d.URL, Client: d.Client})
	}
	if err := d.signInAll(ctx); err != nil {
		return err
	}
	for _, one := range d.all {
		d.work.Go(func() { d.live(ctx, working, one) })
	}
	return nil
}

func (d *Desktops) signInAll(ctx context.Context) error {
	room := make(chan struct{}, 32)
	failed := make(chan error, len(d.all))
	var signing sync.WaitGroup
	for _, one := range d.all {
		room <- struct{}{}
		signing.Go(func() {
			defer func() { <-room }()
			if reply, err := d.signIn(ctx, one); err != nil {
				failed <- err
			} else if reply.Retcode != "0" {
				failed <- fmt.Errorf("sign-in of %s: status %d, retcode %q", one.Agent, reply.Status, reply.Retcode)
			}
		})
	}
	signing.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Stop sends nothing more and returns when what was sent is answered, so that every desktop knows its GUID. Nobody signs
// out. Who cannot wait ends the context that was given to Start.
func (d *Desktops) Stop() {
	d.stop()
	d.work.Wait()
}

// Desktop returns one of them, so that a test can have it do something besides.
func (d *Desktops) Desktop(agent string) *Desktop {
	i := slices.IndexFunc(d.all, func(one *Desktop) bool { return one.Agent == agent })
	return d.all[i]
}

// Tally returns what the desktops have seen so far.
func (d *Desktops) Tally() Tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tally
	t.Errors, t.Took = slices.Clone(t.Errors), slices.Clone(t.Took)
	t.Retcodes = maps.Clone(t.Retcodes)
	return t
}

// Lap forgets the durations and errors so far.
func (d *Desktops) Lap() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally.Took, d.tally.Errors = nil, nil
}

// live is one desktop's day. An answer of session trouble ends the session only if it lasts for a while, as with the
// vendor's own client.
func (d *Desktops) live(ctx, working context.Context, one *Desktop) {
	troubled := 0
	pause := d.Pause
	if d.Every > 0 {
		pause = d.Every
	}
	for sleep(working, pause) {
		ask := one.Poll
		if d.Every > 0 {
			ask = one.Handshake
		}
		began := time.Now()
		reply, err := ask(ctx)
		if ctx.Err() != nil {
			return
		}
		d.count(reply, err, time.Since(began), d.Every > 0)
		switch reply.Retcode {
		case "000-003", "100-006", "100-008":
			troubled++
		case "0":
			troubled = 0
		}
		if troubled > toleratedTrouble {
			troubled = 0
			_, _ = d.signIn(ctx, one) // counted there
		}
	}
}

// toleratedTrouble is how many answers of session trouble in a row the vendor's client bears.
const toleratedTrouble = 15

func (d *Desktops) signIn(ctx context.Context, one *Desktop) (Reply, error) {
	began := time.Now()
	reply, err := one.SignIn(ctx, true, "")
	if ctx.Err() == nil {
		d.count(reply, err, time.Since(began), true)
	}
	return reply, err
}

func (d *Desktops) count(reply Reply, err error, took time.Duration, timed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := &d.tally
	t.Requests++
	if err == nil && reply.Status != http.StatusOK {
		err = fmt.Errorf("status %d", reply.Status)
	}
	if err != nil {
		t.Failed++
		if len(t.Errors) < keptErrors {
			t.Errors = append(t.Errors, err)
		}
		return
	}
	t.Retcodes[reply.Retcode]++
	if timed {
		t.Took = append(t.Took, took)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
