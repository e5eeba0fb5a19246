package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// Servlet containers close a connection that is silent for 20 s by default. Ours go before: a call on a connection
	// that the server is just closing looks like a fault.
	idleTimeout = 15 * time.Second
	// The gateway's answers have a handful of headers.
	maxHeader = 64 << 10
)

func (c *Client) newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            c.dial,
		DialTLSContext:         c.dialTLS,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           0, // the gate bounds how many there are
		MaxIdleConnsPerHost:    c.InFlight,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true, // answers are 60 bytes long
		MaxResponseHeaderBytes: maxHeader,
		// All calls share one connection of HTTP/2: one that died silently must not take the next calls with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: c.Timeout, PingTimeout: c.Timeout},
	}
}

// dialError says that no connection came about, so that the gateway cannot have seen the call.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// dial opens a connection without TLS.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: c.Timeout}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	return &leased{conn, c.lease}, nil
}

// dialTLS opens a connection with TLS. The files are looked at each time, so that certificates that are replaced on disk
// serve the next connection.
func (c *Client) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	config, err := c.config(addr)
	if err != nil {
		return nil, &dialError{err}
	}
	raw, err := c.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &dialError{fmt.Errorf("TLS with %s: %w", addr, c.explain(err))}
	}
	return conn, nil
}

func (c *Client) config(addr string) (*tls.Config, error) {
	loaded, err := c.files.load()
	if err != nil {
		return nil, err
	}
	name := c.ServerName
	if name == "" {
		if name, _, err = net.SplitHostPort(addr); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, NextProtos: []string{"h2", "http/1.1"},
		RootCAs: loaded.roots, InsecureSkipVerify: c.Insecure, //nolint:gosec // only where operators ask for it
	}
	if loaded.pair != nil {
		config.Certificates = []tls.Certificate{*loaded.pair}
	}
	return config, nil
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

// Check opens a connection to the gateway and closes it again. It makes no call and needs no lease.
func (c *Client) Check(ctx context.Context) error {
	free := &Client{Timeout: c.Timeout, ServerName: c.ServerName, Insecure: c.Insecure, files: files{ca: c.CA, cert: c.Cert, key: c.Key, log: c.log()}}
	dial := free.dialTLS
	if c.home.scheme == "http" {
		dial = free.dial
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", c.home.hostPort())
	if err != nil {
		return fmt.Errorf("connect to the gateway at %s: %w", c.URL, err)
	}
	return conn.Close()
}

// explain adds what would be right to the usual mistakes with certificates.
func (c *Client) explain(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	var hint string
	switch {
	case errors.As(err, &unknown):
		hint = "IDLE_GATEWAY_CA must hold the authority that signed the gateway's certificate"
	case errors.As(err, &name):
		hint = "IDLE_GATEWAY_SERVER_NAME can name what the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "the gateway's certificate, or this machine's clock, is out of date"
	case errors.As(err, &record):
		hint = "the gateway does not speak TLS at this address"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}
