package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Check opens a connection to the gateway, reads once from it and closes it again. It makes no call and needs no lease.
//
// It reads because with TLS 1.3 a gateway says only after the handshake that it demands a client certificate.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := c.probe(ctx); err != nil {
		return fmt.Errorf("connect to the gateway at %s: %w", c.URL, err)
	}
	return nil
}

// minListen is how long Check waits for such a report at least.
const minListen = 250 * time.Millisecond

func (c *Client) probe(ctx context.Context) error {
	began := time.Now()
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	until := time.Now().Add(max(minListen, time.Since(began))) // a round trip is shorter than a handshake
	if last, ok := ctx.Deadline(); ok && last.Before(until) {
		until = last
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return err
	}
	n, err := conn.Read(make([]byte, 1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), n > 0: // it waits for a request, or is an HTTP/2 server
		return nil
	case c.noCertificate.Load():
		return fmt.Errorf("%w: %s", err, demandsCertificate)
	case errors.Is(err, io.EOF):
		return errors.New("it closed the connection at once; is something else at this address, or does a proxy in between turn this machine away?")
	}
	return withHint(err)
}

// connect opens a connection to the configured gateway that needs no lease.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	free := func() error { return nil }
	if c.home.scheme == "http" {
		return c.dial(ctx, "tcp", c.home.hostPort(), free)
	}
	conn, _, err := c.handshake(ctx, "tcp", c.home.hostPort(), free)
	if err != nil {
		return nil, err
	}
	return conn, nil
}
