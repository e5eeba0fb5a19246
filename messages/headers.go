package messages

import "time"

// Headers of messages. worker/stream/journal.go sets those of results.
const (
	MsgIDHeader       = "Nats-Msg-Id" // a message that comes again with the same one is the same message
	TraceParentHeader = "traceparent" // W3C trace context, passed on to the gateway call and to the result
	TraceStateHeader  = "tracestate"
	ResultHeader      = "Idle-Result" // of a dead letter: the result that ended the change
	// HeadersHeader holds the header block of a dead letter's original in base64, if some of it could not be kept as headers of
	// the letter.
	HeadersHeader = "Idle-Headers"
	CutHeader     = "Idle-Cut" // of a dead letter: "true" where something did not fit
)

// CloudEvent returns the headers that make the result a CloudEvent 1.0 in binary mode. The id is unique
// among the events of the prefix.
func (r *Result) CloudEvent(n Names, id string) [][2]string {
	return [][2]string{
		{"Content-Type", "application/json"},
		{"ce-specversion", "1.0"},
		{"ce-id", id},
		{"ce-source", "/" + n.Prefix},
		{"ce-type", n.Prefix + ".result." + string(r.Outcome)},
		{"ce-subject", r.AgentID},
		{"ce-time", r.FinishedAt.UTC().Format(time.RFC3339Nano)},
	}
}
