package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/desk"
)

// desktops are those of the agents. They sign in through the tap, which alone writes sessions, and keep polling, so that
// their GUIDs rotate while the changes are applied.
type desktops struct {
	gateway *gatewaytest.Gateway
	desk    *desk.Desk
	tap     string // its URL
	client  *http.Client
	polling bool // otherwise they send heartbeats, as in push mode
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// traffic is how the gateway treats desktops: as the real one does, with a minute in a few seconds.
var traffic = gatewaytest.Traffic{PollFor: 2 * time.Second, RotateEvery: 3 * time.Second}

// oldGUIDFor is how long a GUID is good after it was replaced.
const oldGUIDFor = 6 * time.Second

const (
	// The late ones come in one by one, once the changes are on their way.
	lateAfter = 2 * time.Second
	lateApart = 200 * time.Millisecond

	pollingMost    = 1000 // more desktops than these are in push mode: two sockets for each held poll are many
	pollPause      = 200 * time.Millisecond
	heartbeatEvery = 30 * time.Second
	together       = 32 // sign-ins under way at the same time
	toSee          = 50 // of the agents who signed in last, the worker has to know so many
)

func newDesktops(g *gatewaytest.Gateway, tap string, agents int) *desktops {
	return &desktops{
		gateway: g, tap: tap, polling: agents <= pollingMost,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pollingMost}}, stop: func() {},
	}
}

// begin signs in those who are there from the beginning, and has them work until ctx ends.
func (d *desktops) begin(ctx context.Context, cast []member) error {
	ctx, d.stop = context.WithCancel(ctx)
	room, failed := make(chan struct{}, together), make(chan error, len(cast))
	var signing sync.WaitGroup
	for _, m := range cast {
		if m.part == late {
			continue
		}
		room <- struct{}{}
		signing.Go(func() {
			defer func() { <-room }()
			if err := d.signIn(ctx, m.id, m.part != stale); err != nil {
				failed <- err
			}
		})
	}
	signing.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	for _, m := range cast {
		if m.part == stale {
			d.gateway.SignIn(m.id) // at another place, of which the tap sees nothing
		}
	}
	return nil
}

// end has all desktops stop work.
func (d *desktops) end() {
	d.stop()
	d.work.Wait()
	d.client.CloseIdleConnections()
}

// signIn signs an agent in through the tap; works says whether the desktop keeps polling.
func (d *desktops) signIn(ctx context.Context, agent string, works bool) error {
	one := &gatewaytest.Desktop{Agent: agent, URL: d.tap, Client: d.client}
	reply, err := one.SignIn(ctx, true, "")
	if err == nil && reply.Retcode != "0" {
		err = fmt.Errorf("the gateway answers %q", reply.Retcode)
	}
	if err != nil {
		return fmt.Errorf("sign agent %s in: %w", agent, err)
	}
	if works {
		d.work.Go(func() { d.live(ctx, one) })
	}
	return nil
}

// live is the rest of a desktop's day.
func (d *desktops) live(ctx context.Context, one *gatewaytest.Desktop) {
	ask, pause := one.Poll, pollPause
	if !d.polling {
		ask, pause = one.Handshake, heartbeatEvery
	}
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		_, _ = ask(ctx) // whatever comes of it, the next one follows
	}
}

// known waits until the worker has heard of those who are there: else the first changes would wait for sign-ins.
func (d *desktops) known(ctx context.Context, cast []member) error {
	asking, stop := context.WithTimeout(ctx, readyWithin)
	defer stop()
	seen := 0
	for _, m := range slices.Backward(cast) { // the last ones are written last
		if m.part != signedIn {
			continue
		}
		for {
			if view, err := d.desk.Explain(asking, m.id); err == nil && view.SignedIn {
				break
			} else if asking.Err() != nil {
				return errors.Join(errors.New("the worker does not get ready"), err)
			}
			select {
			case <-time.After(lookAgain):
			case <-asking.Done():
			}
		}
		if seen++; seen == toSee {
			break
		}
	}
	return nil
}

// goOn brings in the late ones, and those whose session was ended elsewhere.
func (d *desktops) goOn(ctx context.Context, cast []member) error {
	wait := time.After(lateAfter)
	for _, m := range cast {
		if m.part == signedIn {
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = time.After(lateApart)
		if err := d.insist(ctx, m.id); err != nil {
			return err
		}
	}
	return nil
}

// insist tries to sign an agent in until the gateway is there, as people do.
func (d *desktops) insist(ctx context.Context, agent string) error {
	for {
		err := d.signIn(ctx, agent, true)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(lateApart):
		case <-ctx.Done():
			return err
		}
	}
}

// welcome signs in whoever a change waits for and the gateway does not know, a little later, as people do.
func (d *desktops) welcome(ctx context.Context, e desk.Event) error {
	if _, known := d.gateway.Flag(e.AgentID); known || !messages.ValidAgentID(e.AgentID) {
		return nil
	}
	select {
	case <-time.After(time.Until(e.At.Add(lateAfter))):
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.insist(ctx, e.AgentID)
}
