package trace

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// target is where spans go, as the standard variables say it.
type target struct {
	url     string
	headers http.Header
	timeout time.Duration
	tls     *tls.Config
}

// Check tells whether the variables turn traces on, and what is wrong with them.
func Check() (on bool, err error) {
	on, _, err = read()
	return on, err
}

func read() (on bool, to target, err error) {
	if on, err = wanted(); !on || err != nil {
		return false, to, err
	}
	to, err = readTarget()
	return true, to, err
}

// setting reads a variable for traces, or else the one for all signals.
func setting(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// wanted tells whether the variables turn traces on.
func wanted() (bool, error) {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	case "":
		return setting("ENDPOINT") != "", nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%q: want otlp or none", exporter)
	}
}

func readTarget() (target, error) {
	if protocol := setting("PROTOCOL"); protocol == "grpc" {
		return target{}, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\": want http/json, which collectors take at port 4318")
	}
	t := target{url: endpoint(), timeout: 10 * time.Second}
	if at, err := url.Parse(t.url); err != nil || at.Host == "" || (at.Scheme != "http" && at.Scheme != "https") {
		return t, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: want http:// or https:// with HOST:PORT")
	}
	if text := setting("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return t, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT=%q: want milliseconds", text)
		}
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	var err error
	if t.headers, err = headers(setting("HEADERS")); err != nil {
		return t, err
	}
	t.tls, err = tlsConfig()
	return t, err
}

// endpoint is a base that the path is appended to, unless it is the one for traces alone.
func endpoint() string {
	if whole := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); whole != "" {
		return whole
	}
	base := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://localhost:4318")
	return strings.TrimSuffix(base, "/") + "/v1/traces"
}

// headers reads key=value pairs. They can be credentials, so an error shows none of it.
func headers(text string) (http.Header, error) {
	all := http.Header{}
	if text == "" {
		return all, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || key == "" {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: want key=value, or several separated by commas")
		}
		all.Set(strings.TrimSpace(key), plain)
	}
	return all, nil
}

func tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := setting("CERTIFICATE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE=%q: want a file with PEM certificates", file)
		}
	}
	cert, key := setting("CLIENT_CERTIFICATE"), setting("CLIENT_KEY")
	if cert == "" && key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
