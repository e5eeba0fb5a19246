package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/status"
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
	type check struct {
		what string
		do   func(context.Context) (string, error)
	}
	checks := []check{
		{"NATS and the sessions of " + c.Prefix, func(ctx context.Context) (string, error) { return checkNATS(ctx, c) }},
		{"gateway at " + c.GatewayURL, func(ctx context.Context) (string, error) { return "", checkGateway(ctx, c) }},
		{"IDLE_TAP_ADDR=" + c.Addr, func(ctx context.Context) (string, error) { return checkAddress(ctx, c) }},
	}
	if c.HTTPAddr != "" {
		checks = append(checks, check{"IDLE_HTTP_ADDR=" + c.HTTPAddr, func(ctx context.Context) (string, error) { return checkPage(ctx, c) }})
	}
	all := true
	for _, check := range checks {
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

// checkAddress reports whether the tap could listen for desktops. Whoever listens there already cannot be asked, because a tap passes
// every request on. The tap that runs answers at IDLE_HTTP_ADDR and names the port of its desktops.
func checkAddress(ctx context.Context, c config.Tap) (note string, err error) {
	l, err := status.Listen(ctx, c.Addr)
	if err == nil {
		return "", l.Close()
	}
	_, port, _ := net.SplitHostPort(c.Addr)
	switch {
	case !errors.Is(err, syscall.EADDRINUSE):
		return "", err
	case c.HTTPAddr == "":
		return ": something listens there already, and without IDLE_HTTP_ADDR nothing tells whether it is a tap of this site", nil
	case status.WhoAnswers(ctx, c.HTTPAddr) != status.Process{Program: "idletap", Site: c.Prefix, Port: port}:
		return "", fmt.Errorf("%w, and no tap of this site that listens there answers at IDLE_HTTP_ADDR=%s", err, c.HTTPAddr)
	}
	return ": " + status.OursAlready("idletap"), nil
}

func checkPage(ctx context.Context, c config.Tap) (note string, err error) {
	note, err = status.CheckAddress(ctx, c.HTTPAddr, status.Process{Program: "idletap", Site: c.Prefix})
	if note != "" {
		note = ": " + note
	}
	return note, err
}
