package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

// simulate is the gateway alone, for workers elsewhere.
func simulate(ctx context.Context, o options, stdout io.Writer) error {
	c, err := config.LoadClient()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	names := strings.FieldsFunc(o.names, func(r rune) bool { return r == ',' || r == ' ' })
	if err == nil {
		names = append(names, host)
	}
	g, err := gatewaytest.Start(gatewaytest.Options{Addr: o.simulator, Names: names, ForgetCalls: true, OldGUIDFor: oldGUIDFor}) //nolint:contextcheck // taking an address is done at once
	if err != nil {
		return err
	}
	defer g.Close()
	if o.ca != "" {
		if err := writeWhole(o.ca, g.CA()); err != nil {
			return fmt.Errorf("write the authority of the gateway's certificate: %w", err)
		}
	}
	prepare(g, true)
	fmt.Fprintf(stdout, "simulated gateway at %s\n", g.URL())
	var cast []member
	for _, id := range sampleAgents() {
		cast = append(cast, member{id, signedIn})
	}
	desktops := newDesktops(g, o.tap, len(cast))
	defer desktops.end()
	handOver := func() error { return handOver(ctx, c, g, cast) }
	if o.tap != "" {
		handOver = func() error { return desktops.begin(ctx, cast) }
	}
	if err := untilSignedIn(ctx, handOver, stdout); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// writeWhole puts the file in its place when it is complete: a worker may be waiting for it.
func writeWhole(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone by then, if all went well
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

const tryAgain = time.Second

// untilSignedIn tries until the sample's agents are signed in.
func untilSignedIn(ctx context.Context, try func() error, stdout io.Writer) error {
	said := ""
	for {
		err := try()
		if err == nil {
			fmt.Fprintf(stdout, "agents %d to %d are signed in\n", firstAgent, lastAgent)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if text := err.Error(); text != said {
			said = text
			fmt.Fprintf(stdout, "no sessions yet, still trying: %s\n", text)
		}
		select {
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handOver puts the sessions of agents where the worker looks for them.
func handOver(ctx context.Context, c config.Client, g *gatewaytest.Gateway, cast []member) error {
	d, err := desk.Open(ctx, stream.Options{
		URLs: c.NATSURLs, Name: "idledemo", Creds: c.NATSCreds, CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey,
	}, messages.Names{Prefix: c.Prefix})
	if err != nil {
		return err
	}
	defer d.Close()
	return d.PutSessions(ctx, func(yield func(string, messages.Session) bool) {
		for _, m := range cast {
			if !yield(m.id, messages.Session{GUID: g.SignIn(m.id), SignedInAt: time.Now()}) {
				return
			}
		}
	})
}
