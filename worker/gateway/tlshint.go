package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// inHandshake marks an error of a TLS handshake.
type inHandshake struct{ error }

func (e inHandshake) Unwrap() error { return e.error }

// withHint adds to err what would be right, if it knows.
func withHint(err error) error {
	if hint := hintOf(err); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

// hintOf returns the cause of a common TLS error and what would be right; empty: it knows neither.
func hintOf(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		shaking inHandshake
		alert   *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return "IDLE_GATEWAY_CA must hold the authority that signed the gateway's certificate"
	case errors.As(err, &name):
		if c := name.Certificate; len(c.DNSNames)+len(c.IPAddresses) == 0 {
			return "the gateway's certificate has no subject alternative name, and its common name does not count: have it issued again with one"
		}
		return "IDLE_GATEWAY_SERVER_NAME can name what the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the gateway's certificate, or this machine's clock, is out of date"
	case errors.As(err, &record):
		return "the gateway does not speak TLS at this address"
	case errors.As(err, &alert) && isAlert(alert):
		return alerts[alert.Err.Error()]
	case errors.As(err, &shaking) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)):
		return "the connection broke off in the TLS handshake; if a proxy or an old TLS library cannot bear a large ClientHello, set GODEBUG=tlsmlkem=0"
	}
	return ""
}

// alerts has the TLS alerts with a common cause, by their names in crypto/tls.
var alerts = map[string]string{
	"tls: certificate required":           demandsCertificate,
	"tls: bad certificate":                refusesCertificate,
	"tls: unknown certificate authority":  refusesCertificate,
	"tls: unknown certificate":            refusesCertificate,
	"tls: unsupported certificate":        refusesCertificate,
	"tls: revoked certificate":            refusesCertificate,
	"tls: expired certificate":            refusesCertificate,
	"tls: access denied":                  refusesCertificate,
	"tls: handshake failure":              noCommonCipher,
	"tls: insufficient security level":    noCommonCipher,
	"tls: protocol version not supported": "the gateway speaks only TLS older than 1.2: it must be updated, or stand behind a proxy that speaks TLS 1.2",
	"tls: no renegotiation":               "the gateway renegotiates TLS after the request, usually to demand a client certificate for this path only: it must demand it in the handshake, or not at all",
	"tls: unrecognized name":              "the gateway does not serve this name: IDLE_GATEWAY_SERVER_NAME can name the one that it serves",
	"tls: no application protocol":        "the gateway speaks neither HTTP/2 nor HTTP/1.1 at this address",
	"tls: illegal parameter":              brokenTLS,
	"tls: error decoding message":         brokenTLS,
	"tls: unexpected message":             brokenTLS,
	"tls: record overflow":                brokenTLS,
}

const (
	demandsCertificate = "the gateway asks for a client certificate: IDLE_GATEWAY_CERT and IDLE_GATEWAY_KEY must hold one that it accepts"
	refusesCertificate = "the gateway refuses the client certificate: IDLE_GATEWAY_CERT and IDLE_GATEWAY_KEY must hold one that it accepts"
	noCommonCipher     = "the gateway and this program have no cipher suite in common: update the gateway, or allow what it has by GODEBUG=tlsrsakex=1 " +
		"(RSA key exchange) or GODEBUG=tls3des=1 (3DES); a gateway that demands a client certificate (IDLE_GATEWAY_CERT) may say so too"
	brokenTLS = "the gateway's TLS cannot read what was sent; if it cannot bear a large ClientHello, set GODEBUG=tlsmlkem=0"
)

// isAlert reports whether an error is a TLS alert, of either side.
func isAlert(err *net.OpError) bool { return err.Op == remote || err.Op == "local error" }

// remote is the prefix of the other side's alerts in crypto/tls.
const remote = "remote error"

// isTurnedAway reports whether the gateway ended the TLS connection. With TLS 1.3 it may do so after a request was sent, which it does
// not read then.
func isTurnedAway(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == remote
}
