package trace

import (
	"encoding/json"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// What follows is the JSON form of OTLP: IDs in hexadecimal, times and whole numbers as text.

type batch struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   described    `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type described struct {
	Attributes []pair `json:"attributes"`
}

type scopeSpans struct {
	Scope scope  `json:"scope"`
	Spans []span `json:"spans"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type span struct {
	TraceID    string `json:"traceId"`
	SpanID     string `json:"spanId"`
	ParentID   string `json:"parentSpanId,omitempty"`
	TraceState string `json:"traceState,omitempty"`
	Flags      uint32 `json:"flags"`
	Name       string `json:"name"`
	Kind       int    `json:"kind"`
	Start      string `json:"startTimeUnixNano"`
	End        string `json:"endTimeUnixNano"`
	Attributes []pair `json:"attributes"`
	Status     status `json:"status"`
}

type status struct {
	Code    int    `json:"code"` // 0 unset, 1 ok, 2 error
	Message string `json:"message,omitempty"`
}

type pair struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// encode writes spans of one process, which all have its resource and scope.
func encode(spans []sdk.ReadOnlySpan) ([]byte, error) {
	if len(spans) == 0 {
		return []byte("{}"), nil
	}
	of := spans[0].InstrumentationScope()
	all := make([]span, len(spans))
	for i, s := range spans {
		all[i] = encodeSpan(s)
	}
	return json.Marshal(batch{[]resourceSpans{{
		Resource:   described{pairs(spans[0].Resource().Attributes())},
		ScopeSpans: []scopeSpans{{scope{of.Name, of.Version}, all}},
	}}})
}

func encodeSpan(s sdk.ReadOnlySpan) span {
	c := s.SpanContext()
	one := span{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), TraceState: c.TraceState().String(),
		Flags: uint32(c.TraceFlags()), Name: s.Name(), Kind: int(s.SpanKind()), Start: nanos(s.StartTime()),
		End: nanos(s.EndTime()), Attributes: pairs(s.Attributes()), Status: encodeStatus(s.Status()),
	}
	if p := s.Parent(); p.SpanID().IsValid() {
		one.ParentID = p.SpanID().String()
	}
	return one
}

func encodeStatus(s sdk.Status) status {
	switch s.Code {
	case codes.Ok:
		return status{1, ""}
	case codes.Error:
		return status{2, s.Description}
	default:
		return status{}
	}
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func pairs(attributes []attribute.KeyValue) []pair {
	all := make([]pair, len(attributes))
	for i, a := range attributes {
		all[i] = pair{string(a.Key), value(a.Value)}
	}
	return all
}

// value knows the types that our spans have; what a resource may have beside them goes out as text.
func value(v attribute.Value) map[string]any {
	switch v.Type() {
	case attribute.BOOL:
		return map[string]any{"boolValue": v.AsBool()}
	case attribute.INT64:
		return map[string]any{"intValue": strconv.FormatInt(v.AsInt64(), 10)}
	case attribute.FLOAT64:
		return map[string]any{"doubleValue": v.AsFloat64()}
	default:
		return map[string]any{"stringValue": v.String()}
	}
}
