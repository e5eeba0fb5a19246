package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"idlepolicy/worker/gateway/guard"
)

// dialError is returned if no connection was made, so the gateway cannot have seen the call.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// dialPlain opens a connection without TLS, for net/http.
func (c *Client) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	socket, err := c.dial(ctx, network, addr, c.lease)
	if err != nil {
		return nil, err
	}
	return socket.Guard(socket), nil
}

// dialTLS opens a connection with TLS, for net/http.
func (c *Client) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, socket, err := c.handshake(ctx, network, addr, c.lease)
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		return conn, nil // its answers name their requests
	}
	return socket.Guard(conn), nil
}

func (c *Client) dial(ctx context.Context, network, addr string, lease func() error) (*guard.Socket, error) {
	conn, err := (&net.Dialer{Timeout: c.Timeout, Resolver: c.resolver}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	return guard.NewSocket(&leased{conn, lease}), nil
}

// leased is a connection that writes nothing without the lease.
type leased struct {
	net.Conn
	lease func() error
}

func (l *leased) Write(b []byte) (int, error) {
	if l.lease() != nil {
		return 0, errNoLease
	}
	return l.Conn.Write(b)
}

// handshake opens a connection with TLS. It checks the files each time, so that certificates that are replaced on disk are used from
// the next connection on.
func (c *Client) handshake(ctx context.Context, network, addr string, lease func() error) (*tls.Conn, *guard.Socket, error) {
	config, err := c.config(addr)
	if err != nil {
		return nil, nil, &dialError{err}
	}
	socket, err := c.dial(ctx, network, addr, lease)
	if err != nil {
		return nil, nil, err
	}
	conn := tls.Client(socket, config)
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		hinted := withHint(inHandshake{err})
		if c.noCertificate.Load() { // which is more likely than anything that an alert can say
			hinted = fmt.Errorf("%w: %s", err, demandsCertificate)
		}
		return nil, nil, &dialError{fmt.Errorf("TLS with %s: %w", addr, hinted)}
	}
	return conn, socket, nil
}

func (c *Client) config(addr string) (*tls.Config, error) {
	loaded, err := c.files.load()
	if err != nil {
		return nil, err
	}
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	name, _, _ = strings.Cut(name, "%") // the zone of an IPv6 address means something on this machine only
	if c.ServerName != "" && addr == c.home.hostPort() {
		name = c.ServerName
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, NextProtos: []string{"h2", "http/1.1"},
		RootCAs: loaded.roots, InsecureSkipVerify: c.Insecure, //nolint:gosec // only where operators ask for it
	}
	c.noCertificate.Store(false)
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if loaded.pair != nil && asked.SupportsCertificate(loaded.pair) == nil {
			return loaded.pair, nil
		}
		c.noCertificate.Store(true)
		return new(tls.Certificate), nil // none
	}
	return config, nil
}
