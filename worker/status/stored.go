package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"idlepolicy/messages"
)

// apiResults sends stored results as NDJSON or, if the client accepts events, follows them as they are stored.
//
//nolint:contextcheck // it ends with the request, and with the server
func (s *Server) apiResults(stop context.Context, w http.ResponseWriter, r *http.Request) {
	follow := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	q, wrong := resultQuery(r, follow)
	if wrong != "" {
		s.fault(w, http.StatusBadRequest, wrong)
		return
	}
	if !s.API.following.enter() {
		s.unavailable(w, errors.New("too many requests for results are under way"))
		return
	}
	defer s.API.following.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	out := &stream{eventStream: eventStream{w: w, control: http.NewResponseController(w)}, events: follow}
	if follow {
		if q.Last == 0 && q.Since.IsZero() && q.From == 0 { // whatever is stored after the answer has begun is sent
			last, err := s.API.LastSeq(ctx)
			if err != nil {
				s.unavailable(w, err)
				return
			}
			q.From = last + 1
		}
		s.follow(ctx, out, q)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	err := s.API.Results(ctx, q, func(_ uint64, result []byte) error { return out.line(result) })
	switch {
	case err != nil && !out.begun && ctx.Err() == nil:
		s.unavailable(w, err)
	case err != nil:
		panic(http.ErrAbortHandler) // the client sees that the answer is not whole
	}
}

// follow sends events until the client goes away, takes nothing for a while, or the server stops.
func (s *Server) follow(ctx context.Context, out *stream, q ResultQuery) {
	out.w.Header().Set("Content-Type", "text/event-stream")
	out.w.Header().Set("X-Accel-Buffering", "no") // a proxy that collected events would hold them back
	out.begin()
	results := make(chan storedResult)
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = s.API.Results(ctx, q, func(seq uint64, result []byte) error {
			select {
			case results <- storedResult{seq, bytes.Clone(result)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	ended := false
	for out.err == nil && !ended {
		select {
		case r := <-results:
			out.event(r)
		case <-alive.C:
			out.write(": alive\n\n")
		case <-over: // the client connects again, and continues after the last event
			ended = true
		case <-ctx.Done():
			out.err = ctx.Err()
		}
	}
	cancel()
	if !ended {
		<-over
	}
}

type storedResult struct {
	seq  uint64
	text []byte
}

// stream writes results. Each write has a deadline, so that a client that reads nothing is disconnected.
type stream struct {
	eventStream
	events bool
	begun  bool
}

func (o *stream) line(result []byte) error {
	if !o.begun {
		o.begun = true
		o.err = o.control.SetReadDeadline(time.Time{})
	}
	if o.err == nil {
		o.err = o.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	}
	if o.err == nil {
		_, o.err = fmt.Fprintf(o.w, "%s\n", oneLine(result))
	}
	return o.err
}

func (o *stream) event(r storedResult) {
	o.write(fmt.Sprintf("id: %d\nevent: result\ndata: %s\n\n", r.seq, oneLine(r.text)))
}

// oneLine removes line breaks from what a stranger may have stored.
func oneLine(text []byte) []byte {
	if !bytes.ContainsAny(text, "\r\n") {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
}

// resultQuery parses the parameters; wrong says what is wrong with them.
func resultQuery(r *http.Request, follow bool) (q ResultQuery, wrong string) {
	q.Follow = follow
	values := r.URL.Query()
	for name := range values {
		if !slices.Contains([]string{"last", "agent", "outcome", "batch", "since"}, name) {
			return q, fmt.Sprintf("%.40q: unknown; want last, agent, outcome, batch or since", name)
		}
	}
	q.Agent, q.Batch = values.Get("agent"), values.Get("batch")
	if q.Agent != "" && q.Agent != messages.UnknownAgent && !messages.ValidAgentID(q.Agent) {
		return q, "agent: " + badAgentID
	}
	if q.Batch != "" && !batchID.MatchString(q.Batch) {
		return q, "batch: " + badBatchID
	}
	for _, list := range values["outcome"] {
		for word := range strings.SplitSeq(list, ",") {
			o := messages.Outcome(word)
			if !slices.Contains(outcomes, o) {
				return q, "outcome: want one of applied, superseded, expired, rejected, failed, waiting and reapplied, or several separated by commas"
			}
			q.Outcomes = append(q.Outcomes, o)
		}
	}
	if text := values.Get("since"); text != "" {
		var ok bool
		if q.Since, ok = sinceOf(text); !ok {
			return q, "since: want an instant such as 2026-11-22T18:00:00+01:00, or a duration such as 90m"
		}
	}
	return q, q.begin(r, values.Get("last") != "")
}

func sinceOf(text string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+")); err == nil { // a + in a query is a space
		return at, true
	}
	d, err := time.ParseDuration(text)
	return time.Now().Add(-d), err == nil && d >= 0
}

// begin sets where the results begin. The last event that a client has received overrides its parameters.
func (q *ResultQuery) begin(r *http.Request, hasLast bool) (wrong string) {
	n, ok := lastOf(r, defaultLast)
	if !ok {
		return badLast
	}
	if hasLast || !q.Follow && q.Since.IsZero() {
		q.Last = n
	}
	id := r.Header.Get("Last-Event-ID")
	if !q.Follow || id == "" {
		return ""
	}
	after, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return "Last-Event-ID: want the id of an event"
	}
	q.Last, q.Since, q.From = 0, time.Time{}, after+1
	return ""
}
