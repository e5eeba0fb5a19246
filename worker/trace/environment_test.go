package trace

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOffUnlessAskedFor(t *testing.T) {
	for _, environment := range []map[string]string{
		{},
		{"OTEL_SERVICE_NAME": "x"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
	} {
		if open(t, environment, quiet) != nil {
			t.Errorf("%v turns traces on", environment)
		}
	}
	for _, environment := range []map[string]string{
		{"OTEL_TRACES_EXPORTER": "otlp"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
	} {
		tracer := open(t, environment, quiet)
		if tracer == nil {
			t.Errorf("%v leaves traces off", environment)
			continue
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A wrong variable ends the start with a line that names it and shows no credential.
func TestWrongVariablesAreNamed(t *testing.T) {
	for _, test := range []struct{ variable, value string }{
		{"OTEL_TRACES_EXPORTER", "console"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "kafka"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:hush@localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4318?key=hush"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zip"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "5s"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "hush"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "key=%hush"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "Bearer hush="},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=hush%0Ahush"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere"},
		{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nowhere"},
	} {
		environment := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
		environment[test.variable] = test.value
		plainEnvironment(t, environment)
		_, err := FromEnvironment(t.Context(), "w1", "v1", quiet)
		if err == nil || !strings.Contains(err.Error(), test.variable) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s=%s: %v", test.variable, test.value, err)
		}
		if _, again := Check(t.Context()); again == nil || err == nil || again.Error() != err.Error() {
			t.Errorf("%s=%s: a check says %v", test.variable, test.value, again)
		}
	}
}

// The collector's own certificate is trusted once a variable names it, and only for https.
func TestCollectorBehindTLS(t *testing.T) {
	c := newSecureCollector(t)
	file := filepath.Join(t.TempDir(), "collector.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_CERTIFICATE": file, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
	}
	tracer := open(t, environment, quiet)
	tracer.Trace(traced(time.Now()))
	closed(t, tracer)
	if n := len(c.spans()); n != 7 {
		t.Errorf("%d spans", n)
	}
	if packed := c.requests[0].header.Get("Content-Encoding"); packed != "gzip" {
		t.Errorf("sent packed as %q", packed)
	}
	environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://localhost:4318"
	plainEnvironment(t, environment)
	if _, err := Check(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT: ") {
		t.Errorf("a certificate without TLS: %v", err)
	}
}

// The exporter also reads the headers that those for traces stand in for, and would write them to the standard error.
func TestHeadersThatDoNotCountStayHidden(t *testing.T) {
	const child = "TRACE_TEST_CHILD"
	if os.Getenv(child) != "" {
		if on, err := Check(t.Context()); !on || err != nil {
			t.Errorf("a check says %t, %v", on, err)
		}
		return
	}
	plainEnvironment(t, map[string]string{
		child: "1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=value", "OTEL_EXPORTER_OTLP_HEADERS": "hush",
	})
	out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$").CombinedOutput()
	if err != nil || strings.Contains(string(out), "hush") {
		t.Errorf("%v:\n%s", err, out)
	}
}
