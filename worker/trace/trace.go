package trace

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// Tracer exports the traces of changes as spans. It is a worker.Tracer. The spans are made when a change has ended, with the times at
// which things happened, so the worker need not carry them along.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

var _ worker.Tracer = (*Tracer)(nil)

// closeWithin is how long sending the last spans may take.
const closeWithin = 3 * time.Second

// FromEnvironment returns the tracer that the standard variables ask for, nil if they ask for none. name and version are those of
// this process. The error names the variable that is wrong.
func FromEnvironment(ctx context.Context, name, version string, log *slog.Logger) (*Tracer, error) {
	e, err := exporter(ctx)
	if e == nil || err != nil {
		return nil, err
	}
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "idleworker"), attribute.String("service.version", version),
		attribute.String("service.instance.id", name),
	), resource.WithFromEnv()) // the variables override what we say about the service
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be exported", "err", err) }))
	p := sdk.NewTracerProvider(sdk.WithResource(who), sdk.WithBatcher(newLosses(e, log)))
	return &Tracer{p, p.Tracer("idlepolicy", trace.WithInstrumentationVersion(version))}, nil
}

// Close sends the remaining spans.
func (t *Tracer) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// Trace implements worker.Tracer.
func (t *Tracer) Trace(s *worker.Trace) {
	carrier := propagation.MapCarrier{"traceparent": s.TraceParent, "tracestate": s.TraceState}
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier)
	r := s.Result
	ctx, whole := t.tracer.Start(ctx, "idle policy change", trace.WithTimestamp(r.ReceivedAt),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributesOf(r)...))
	if whole.IsRecording() {
		t.parts(ctx, s)
	}
	if o := r.Outcome; o == messages.Failed || o == messages.Rejected || o == messages.Expired {
		whole.SetStatus(codes.Error, r.Message)
	}
	whole.End(trace.WithTimestamp(s.Stored))
}

func attributesOf(r *messages.Result) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("idlepolicy.outcome", string(r.Outcome)),
		attribute.String("idlepolicy.agent_id", r.AgentID),
		attribute.String("idlepolicy.change_id", r.ChangeID),
		attribute.Int64("idlepolicy.change_seq", int64(r.ChangeSeq)),
		attribute.String("idlepolicy.flag", r.Flag),
		attribute.Int("idlepolicy.attempts", r.Attempts),
	}
	for key, value := range map[string]string{
		"idlepolicy.batch_id": r.BatchID, "idlepolicy.superseded_by": r.SupersededBy,
		"idlepolicy.reason": r.Reason, "idlepolicy.source": r.Source,
	} {
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
	}
	return all
}

// parts exports a span for each wait and call of a change, and for storing its result.
func (t *Tracer) parts(ctx context.Context, s *worker.Trace) {
	r := s.Result
	at := r.ReceivedAt
	if r.EffectiveAt.After(at) && r.FinishedAt.After(r.EffectiveAt) {
		t.part(ctx, "wait for effective_at", at, r.EffectiveAt)
		at = r.EffectiveAt
	}
	wait := "wait for sign-in and turn"
	for i := range s.Attempts {
		a := &s.Attempts[i]
		t.part(ctx, wait, at, a.Sent)
		t.call(ctx, a)
		at, wait = a.Sent.Add(a.Took), "wait for another attempt"
	}
	if at.Before(r.FinishedAt) && r.Outcome != messages.Applied {
		t.part(ctx, wait, at, r.FinishedAt)
	}
	t.part(ctx, "store the result", r.FinishedAt, s.Stored)
}

func (t *Tracer) part(ctx context.Context, name string, from, to time.Time) {
	if to.Before(from) {
		to = from // the server's clock may be ahead of ours
	}
	_, part := t.tracer.Start(ctx, name, trace.WithTimestamp(from))
	part.End(trace.WithTimestamp(to))
}

func (t *Tracer) call(ctx context.Context, a *worker.Attempt) {
	_, call := t.tracer.Start(ctx, "call the gateway", trace.WithTimestamp(a.Sent), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("idlepolicy.class", a.Class.String())))
	if a.Retcode != "" {
		call.SetAttributes(attribute.String("idlepolicy.retcode", a.Retcode))
	}
	if a.Status != 0 {
		call.SetAttributes(attribute.Int("http.response.status_code", a.Status))
	}
	if a.Class != worker.Success {
		call.SetStatus(codes.Error, a.Fault+a.Message) // one of them is empty: the gateway answered or it did not
	}
	call.End(trace.WithTimestamp(a.Sent.Add(a.Took)))
}
