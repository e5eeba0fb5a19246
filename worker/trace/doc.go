// Package trace shows the way of each change as a trace of OpenTelemetry: from its publication through its waits and
// its calls to the result that is stored. The trace is the one that the change came with in traceparent, or a new one.
//
// It is off unless the standard variables turn it on: OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or
// OTEL_TRACES_EXPORTER=otlp. While it is off it costs nothing: the worker then has nobody to tell.
//
// Spans go out as OTLP over HTTP through OpenTelemetry's own exporter, which reads the variables. What it would pass over in
// silence, or show with its credentials, is looked at before: a wrong variable ends the start with its name.
//
// trace.go turns stories into spans, environment.go looks at the variables, losses.go says what the collector does not take.
package trace
