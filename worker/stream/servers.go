package stream

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/nats-io/nats.go"

	"idlepolicy/worker/stream/access"
)

// OtherServers connects to each server that a connection could move to: those of the configuration, and those that their cluster names.
// It fails if one of them is too old, and has a note for each that cannot be reached from here.
func OtherServers(ctx context.Context, o Options, nc *nats.Conn) (notes []string, err error) {
	o.Wait, o.Log, o.Held = false, nil, nil
	var user *url.Userinfo // servers that the cluster names come without
	for _, raw := range o.URLs {
		if u, err := url.Parse(raw); err == nil && u.User != nil {
			user = u.User
		}
	}
	for _, raw := range nc.Servers() {
		u, err := url.Parse(raw)
		if err != nil || u.Host == hostOf(nc.ConnectedUrl()) || u.Host == nc.ConnectedAddr() {
			continue
		}
		if u.User == nil {
			u.User = user
		}
		o.URLs = []string{u.String()}
		other, err := Connect(ctx, o)
		switch {
		case errors.Is(err, errTooOld):
			return notes, err
		case err != nil:
			notes = append(notes, fmt.Sprintf("server %s cannot be reached from here, so that no connection could move to it: %v", access.Redact(raw), err))
		default:
			other.Close()
		}
	}
	return notes, nil
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
