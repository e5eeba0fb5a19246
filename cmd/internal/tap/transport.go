package tap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"time"

	"idlepolicy/worker/gateway"
	"idlepolicy/worker/gateway/guard"
)

// Upstream says how the gateway is reached.
type Upstream struct {
	Timeout    time.Duration // to open a connection; an answer may take as long as it wants
	ServerName string        // the name to verify; empty: the host of its address
	Insecure   bool          // verifies nothing
	Files      *Files        // authorities and client certificate
}

// idleUpstream is below the 20 s after which servlet containers close a silent connection: a request on one that is just
// being closed would fail.
const idleUpstream = 15 * time.Second

// Transport returns a transport that changes nothing about requests and answers. An upgrade needs HTTP/1.1, whatever else the gateway speaks.
func (u Upstream) Transport() *Transport {
	gateway.DropQuotes()
	return &Transport{usual: u.transport("h2", "http/1.1"), upgrades: u.transport("http/1.1")}
}

// Transport is an http.RoundTripper.
type Transport struct {
	usual, upgrades *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header["Upgrade"] != nil {
		return t.upgrades.RoundTrip(r)
	}
	return t.usual.RoundTrip(r)
}

// watched returns a context for requests that must not be given the answer to another one.
func watched(ctx context.Context) context.Context { return httptrace.WithClientTrace(ctx, &hooks) }

var hooks = httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
	if c, ok := got.Conn.(*guard.Conn); ok {
		c.Take()
	}
}}

// CloseIdleConnections closes the connections that are not in use.
func (t *Transport) CloseIdleConnections() {
	t.usual.CloseIdleConnections()
	t.upgrades.CloseIdleConnections()
}

func (u Upstream) transport(protocols ...string) *http.Transport {
	dialer := &net.Dialer{Timeout: u.Timeout, KeepAlive: 30 * time.Second}
	config := u.tls()
	config.NextProtos = protocols
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			socket := guard.NewSocket(conn)
			return socket.Guard(socket), nil
		},
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return u.handshake(ctx, conn, addr, config)
		},
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // answers pass as they are
		MaxIdleConnsPerHost:   1 << 16,
		IdleConnTimeout:       idleUpstream,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: u.Timeout, PingTimeout: u.Timeout},
	}
}

// handshake puts TLS on a connection. Over HTTP/2 answers name their requests, and need no guard.
func (u Upstream) handshake(ctx context.Context, conn net.Conn, addr string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, u.Timeout)
	defer cancel()
	if config.ServerName == "" {
		name, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = name
	}
	socket := guard.NewSocket(conn)
	encrypted := tls.Client(socket, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if encrypted.ConnectionState().NegotiatedProtocol == "h2" {
		return encrypted, nil
	}
	return socket.Guard(encrypted), nil
}

// tls verifies with the authorities that the file holds at the time of the handshake, so that a file that is renewed counts
// for the next connection.
func (u Upstream) tls() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.ServerName,
		InsecureSkipVerify: true, // VerifyConnection does it, unless operators want nothing verified
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if pair := u.Files.Load().Pair; pair != nil {
				return pair, nil
			}
			return &tls.Certificate{}, nil
		},
	}
	if !u.Insecure {
		config.VerifyConnection = u.verify
	}
	return config
}

func (u Upstream) verify(state tls.ConnectionState) error {
	options := x509.VerifyOptions{
		Roots: u.Files.Load().Roots, DNSName: state.ServerName, Intermediates: x509.NewCertPool(),
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// reason says why the gateway could not be reached, in words of our own: an error may quote what the gateway sent.
func reason(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		resolve *net.DNSError
		dial    *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority; IDLE_GATEWAY_CA must hold it"
	case errors.As(err, &name):
		return "its certificate is for another name; IDLE_GATEWAY_SERVER_NAME can say which"
	case errors.As(err, &invalid):
		return "its certificate cannot be used, or this machine's clock is out of date"
	case errors.As(err, &record):
		return "it does not speak TLS at this address"
	case errors.As(err, &alert):
		return "it ends the TLS handshake; it may want a certificate in IDLE_GATEWAY_CERT"
	case errors.As(err, &resolve):
		return "its name is not known"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at its address"
	case isTimeout(err):
		return "no connection in time"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "no connection to its address"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection without an answer"
	}
	return "its answer is not HTTP, or the connection broke"
}
