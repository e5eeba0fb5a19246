// Package trace exports an OpenTelemetry trace of each change: from its publication through its waits and calls to the result that
// is stored. The spans belong to the trace in the change's traceparent, or to a new one.
//
// It is off unless the standard variables turn it on: OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or
// OTEL_TRACES_EXPORTER=otlp. While it is off it costs nothing.
//
// OpenTelemetry's own exporter reads the variables and sends the spans as OTLP over HTTP. It ignores some wrong variables, and prints
// others with their credentials, so this package checks them first: a wrong variable stops the start, and the error names it.
//
// trace.go turns traces into spans, environment.go checks the variables, losses.go logs what the collector does not take.
package trace
