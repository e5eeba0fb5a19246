package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// checkWithin bounds what each check may take when nothing answers.
const checkWithin = 15 * time.Second

// Check proves that everything the configuration names can be reached, one line each, and changes nothing. It reports
// whether all of it can.
func Check(ctx context.Context, c config.Tap, w io.Writer) bool {
	fmt.Fprintln(w, "ok      configuration")
	for _, warning := range c.Warnings() {
		fmt.Fprintln(w, "warning "+warning)
	}
	all := true
	for _, check := range []struct {
		what string
		do   func(context.Context) (string, error)
	}{
		{"NATS and the sessions of " + c.Prefix, func(ctx context.Context) (string, error) { return checkNATS(ctx, c) }},
		{"gateway at " + c.GatewayURL, func(ctx context.Context) (string, error) { return "", checkGateway(ctx, c) }},
		{"IDLE_TAP_ADDR=" + c.Addr, func(ctx context.Context) (string, error) { return "", checkAddress(ctx, c) }},
	} {
		trying, cancel := context.WithTimeout(ctx, checkWithin)
		more, err := check.do(trying)
		cancel()
		if err != nil {
			all = false
			fmt.Fprintf(w, "FAILED  %s: %v\n", check.what, err)
			continue
		}
		fmt.Fprintln(w, "ok      "+check.what+more)
	}
	return all
}

func checkNATS(ctx context.Context, c config.Tap) (string, error) {
	r, err := stream.OpenRegistry(ctx, natsOptions(c, "idletap -check", nil), messages.Names{Prefix: c.Prefix})
	if err != nil {
		return "", err
	}
	defer r.Close()
	agents, err := r.Agents(ctx)
	if err != nil {
		return "", err
	}
	if _, err := r.Get(ctx, someAgent); err != nil {
		return "", err
	}
	at, version := r.Where()
	return fmt.Sprintf(" at %s, server version %s, records of %d agents", at, version, len(agents)), nil
}

// someAgent is read to see whether records can be read at all.
const someAgent = "101"

// checkGateway opens a connection and sends a request that asks for nothing.
func checkGateway(ctx context.Context, c config.Tap) error {
	transport, err := newTransport(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, c.GatewayURL+"/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return errors.New(reason(err))
	}
	return resp.Body.Close()
}

// checkAddress takes the address for a moment, unless a tap that runs has it already.
func checkAddress(ctx context.Context, c config.Tap) error {
	l, err := listen(ctx, "IDLE_TAP_ADDR", c.Addr)
	if err == nil {
		return l.Close()
	}
	conn, dialErr := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.Addr)
	if dialErr != nil {
		return err
	}
	return conn.Close()
}
