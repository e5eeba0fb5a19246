// Package trace shows the way of each change as a trace of OpenTelemetry: from its publication through its waits and
// its calls to the result that is stored. The trace is the one that the change came with in traceparent, or a new one.
//
// It is off unless the standard variables turn it on: OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or
// OTEL_TRACES_EXPORTER=otlp. While it is off it costs nothing: the worker then has nobody to tell.
//
// Spans go out as OTLP in JSON over HTTP, which every collector takes at the port 4318. The exporter is our own, because
// the usual one links all of gRPC: 6 MiB of program and of memory for something that most sites never turn on.
//
// trace.go turns stories into spans, environment.go reads the variables, export.go sends, encode.go is the format.
package trace
