package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
)

// certificateHint returns what would be right for common mistakes with certificates; empty: the error is none of them.
func certificateHint(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		return "IDLE_NATS_CA must hold the authority that signed the server's certificate"
	case errors.As(err, &name):
		return "IDLE_NATS_URL must name the server as its certificate does"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate, or this machine's clock, is out of date"
	case errors.As(err, &record):
		return "the server does not speak TLS at this address; if IDLE_NATS_TLS_FIRST is set, does the server have handshake_first?"
	case errors.As(err, &alert), strings.Contains(text, "remote error: tls"), strings.Contains(text, "closed by remote after TLS"):
		return "the server wants a certificate of its own authority in IDLE_NATS_CERT, and one that is not out of date"
	case strings.Contains(text, "private key does not match"):
		return "IDLE_NATS_KEY must be the key of the certificate in IDLE_NATS_CERT"
	}
	return ""
}
