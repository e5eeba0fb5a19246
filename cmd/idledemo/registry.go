package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/desk"
)

// registry plays the agents' desktops: it signs them in at the gateway and hands their sessions over.
type registry struct {
	gateway *gatewaytest.Gateway
	desk    *desk.Desk
}

// The late ones come in one by one, once the changes are on their way.
const (
	lateAfter = 2 * time.Second
	lateApart = 200 * time.Millisecond
)

// begin signs in those who are there from the beginning.
func (r registry) begin(ctx context.Context, cast []member) error {
	err := r.desk.PutSessions(ctx, func(yield func(string, messages.Session) bool) {
		for _, m := range cast {
			if m.part != late && !yield(m.id, session(r.gateway.SignIn(m.id))) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	for _, m := range cast {
		if m.part == stale {
			r.gateway.Rotate(m.id) // and nobody tells the registry, for now
		}
	}
	return nil
}

// known waits until the worker has heard of those who are there: else the first changes would wait for sign-ins.
func (r registry) known(ctx context.Context, cast []member) error {
	asking, stop := context.WithTimeout(ctx, readyWithin)
	defer stop()
	for _, m := range slices.Backward(cast) { // the last one was written last
		if m.part != signedIn {
			continue
		}
		for {
			if view, err := r.desk.Explain(asking, m.id); err == nil && view.SignedIn {
				return nil
			} else if asking.Err() != nil {
				return errors.Join(errors.New("the worker does not get ready"), err)
			}
			select {
			case <-time.After(lookAgain):
			case <-asking.Done():
			}
		}
	}
	return nil
}

// goOn brings in the late ones and renews what is stale.
func (r registry) goOn(ctx context.Context, cast []member) error {
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
		renew := r.gateway.SignIn
		if m.part == stale {
			renew = r.gateway.Rotate
		}
		if err := r.put(ctx, m.id, renew(m.id)); err != nil {
			return err
		}
	}
	return nil
}

// welcome signs in whoever a change waits for and the gateway does not know, a little later, as people do.
func (r registry) welcome(ctx context.Context, e desk.Event) error {
	if _, known := r.gateway.Flag(e.AgentID); known || !messages.ValidAgentID(e.AgentID) {
		return nil
	}
	select {
	case <-time.After(time.Until(e.At.Add(lateAfter))):
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.put(ctx, e.AgentID, r.gateway.SignIn(e.AgentID))
}

func (r registry) put(ctx context.Context, agent, guid string) error {
	_, err := r.desk.PutSession(ctx, agent, session(guid))
	return err
}

func session(guid string) messages.Session {
	return messages.Session{GUID: guid, SignedInAt: time.Now()}
}
