package trace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"golang.org/x/net/http/httpguts"
)

// Check reports whether the variables turn traces on, and returns an error if they are wrong. It connects to nothing.
func Check(ctx context.Context) (on bool, err error) {
	e, err := exporter(ctx)
	if e == nil || err != nil {
		return false, err
	}
	return true, e.Shutdown(ctx)
}

// exporter returns the exporter that the variables ask for; nil: they ask for none.
func exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if on, err := wanted(); !on || err != nil {
		return nil, err
	}
	if err := settings(); err != nil {
		return nil, err
	}
	otel.SetLogger(logr.Discard()) // it shows the values of variables, headers among them
	e, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	return e, nil
}

// setting reads a variable for traces, or else the one for all signals, as the exporter does.
func setting(name string) (variable, value string) {
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = strings.TrimSpace(os.Getenv(variable)); value != "" {
			break
		}
	}
	return variable, value
}

// wanted reports whether the variables turn traces on.
func wanted() (bool, error) {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled {
		return false, nil
	}
	switch kind := os.Getenv("OTEL_TRACES_EXPORTER"); kind {
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	case "":
		_, endpoint := setting("ENDPOINT")
		return endpoint != "", nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%q: want otlp or none", kind)
	}
}

// settings looks at what the exporter takes from the environment. The exporter would ignore a value that it cannot read.
func settings() error {
	for _, check := range []struct {
		name string
		of   func(value string) error
	}{
		{"PROTOCOL", protocol},
		{"ENDPOINT", endpoint},
		{"COMPRESSION", oneOf("gzip", "none")},
		{"TIMEOUT", timeout},
		{"HEADERS", headers},
		{"CERTIFICATE", roots},
	} {
		if variable, value := setting(check.name); value != "" {
			if err := check.of(value); err != nil {
				return fmt.Errorf("%s: %w", variable, err)
			}
		}
	}
	return clientCertificate()
}

// protocol refuses gRPC, which needs another exporter. Its port is another one too, so the error says which is ours.
func protocol(value string) error {
	if err := oneOf("http/protobuf", "http/json")(value); err != nil {
		return fmt.Errorf("%w, which collectors take at port 4318", err)
	}
	return nil
}

func oneOf(known ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(known, value) {
			return nil
		}
		return fmt.Errorf("%q: want %s", value, strings.Join(known, " or "))
	}
}

// endpoint shows nothing of what it gets. The exporter drops credentials of an address, which must not go unnoticed.
func endpoint(value string) error {
	at, err := url.Parse(value)
	if err != nil || at.Host == "" || (at.Scheme != "http" && at.Scheme != "https") {
		return errors.New("want http:// or https:// with HOST:PORT")
	}
	if at.User != nil || at.RawQuery != "" {
		return errors.New("want an address only; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

func timeout(value string) error {
	if ms, err := strconv.Atoi(value); err != nil || ms <= 0 {
		return fmt.Errorf("%q: want milliseconds", value)
	}
	return nil
}

// headers can be credentials, so an error shows none of it.
func headers(value string) error {
	for pair := range strings.SplitSeq(value, ",") {
		name, value, found := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(value)
		if !found || err != nil || !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)) ||
			!httpguts.ValidHeaderFieldValue(strings.TrimSpace(plain)) {
			return errors.New("want NAME=VALUE, or several separated by commas")
		}
	}
	return nil
}

func roots(file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fmt.Errorf("%q: want a file with PEM certificates", file)
	}
	return nil
}

// clientCertificate looks at the pairs, of which the exporter ignores one without the other.
func clientCertificate() error {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_", "OTEL_EXPORTER_OTLP_CLIENT_"} {
		cert, key := os.Getenv(prefix+"CERTIFICATE"), os.Getenv(prefix+"KEY")
		if cert == "" && key == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return fmt.Errorf("%sCERTIFICATE and %[1]sKEY: %w", prefix, err)
		}
	}
	return nil
}
