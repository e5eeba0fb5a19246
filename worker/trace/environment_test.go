package trace

import (
	"strings"
	"testing"
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
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "5s"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "hush"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere"},
	} {
		environment := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
		environment[test.variable] = test.value
		plainEnvironment(t, environment)
		_, err := FromEnvironment(t.Context(), "w1", "v1", quiet)
		if err == nil || !strings.Contains(err.Error(), test.variable) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s=%s: %v", test.variable, test.value, err)
		}
		if _, again := Check(); again == nil || err == nil || again.Error() != err.Error() {
			t.Errorf("%s=%s: a check says %v", test.variable, test.value, again)
		}
	}
}
