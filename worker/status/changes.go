package status

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"idlepolicy/messages"
	"idlepolicy/worker/status/httpauth"
)

const (
	smallBody = 64 << 10
	maxBody   = 16 << 20
)

// apiPublish publishes changes. It refuses clients that are not publishers before it reads the body.
func (s *Server) apiPublish(w http.ResponseWriter, r *http.Request) {
	name, err := s.API.Publishers.Check(r)
	if refused, ok := errors.AsType[*httpauth.Refused](err); ok {
		s.refused.warn(s.log(), refused.Why, "publishing over HTTP refused", "from", r.RemoteAddr, "why", refused.Why)
		w.Header().Set("Connection", "close") // so that the body need not be read
		refused.Write(w)
		return
	}
	mode, ok := modeOf(r.Header)
	if !ok {
		s.fault(w, http.StatusUnsupportedMediaType, "Content-Type: want application/json, application/x-ndjson, text/csv or application/cloudevents+json, not compressed")
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if len(r.Header.Values("Idempotency-Key")) > 1 || key != "" && !messages.ValidID(key) {
		s.problem(w, "Idempotency-Key", "want one, of 1 to 128 printable characters")
		return
	}
	room := s.API.small
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		room = s.API.large
	}
	if !room.enter() {
		s.unavailable(w, errors.New("too many requests are under way"))
		return
	}
	defer room.leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.unread(w, err)
		return
	}
	post, problem := mode(body, r.Header)
	if problem != nil {
		s.writeJSON(w, http.StatusBadRequest, problems{[]Problem{*problem}})
		return
	}
	post.Key = cmp.Or(key, post.Key)
	if post.Source == "" {
		post.Source = name
	}
	s.publish(w, r, name, post)
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request, name string, post Post) {
	ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
	defer cancel()
	receipt, err := s.API.Publish(ctx, post)
	if unusable, ok := errors.AsType[*Unusable](err); ok {
		s.writeJSON(w, http.StatusBadRequest, problems{unusable.Problems})
		return
	}
	if err != nil {
		s.refused.warn(s.log(), "not stored "+name, "changes over HTTP were not stored", "by", name, "from", r.RemoteAddr, "err", err)
		s.unavailable(w, err)
		return
	}
	s.log().Info("changes published over HTTP", "by", name, "from", r.RemoteAddr, "changes", receipt.Changes,
		"first_seq", receipt.FirstSeq, "last_seq", receipt.LastSeq, "duplicates", receipt.Duplicates)
	s.writeJSON(w, http.StatusAccepted, receipt)
}

// problems is the body of status 400.
type problems struct {
	Problems []Problem `json:"problems"`
}

func (s *Server) problem(w http.ResponseWriter, field, message string) {
	s.writeJSON(w, http.StatusBadRequest, problems{[]Problem{{Field: field, Message: message}}})
}

// unread answers if the body could not be read completely.
func (s *Server) unread(w http.ResponseWriter, err error) {
	w.Header().Set("Connection", "close")
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.fault(w, http.StatusRequestEntityTooLarge, "the body is too large; want at most 16 MiB, or several requests")
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.fault(w, http.StatusRequestTimeout, "the body did not come in time")
		return
	}
	s.problem(w, "", "the body broke off")
}

// mode says how a body is turned into change messages.
type mode func(body []byte, h http.Header) (Post, *Problem)

// modeOf returns the mode for a request's headers; false: the type is not supported.
func modeOf(h http.Header) (mode, bool) {
	if h.Get("Content-Encoding") != "" || len(h.Values("Content-Type")) != 1 {
		return nil, false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	isEvent := h.Get("Ce-Specversion") != ""
	switch {
	case err != nil:
		return nil, false
	case isEvent && (kind == "application/json" || strings.HasSuffix(kind, "+json") && kind != "application/cloudevents+json"):
		return binaryEvent, true
	case isEvent:
		return nil, false
	case kind == "application/json":
		return plainMode("json"), true
	case kind == "application/x-ndjson", kind == "application/jsonl":
		return plainMode("jsonl"), true
	case kind == "text/csv":
		return plainMode("csv"), true
	case kind == "application/cloudevents+json":
		return structuredEvent, true
	}
	return nil, false
}

func plainMode(format string) mode {
	return func(body []byte, _ http.Header) (Post, *Problem) { return Post{Format: format, Body: body}, nil }
}

// binaryEvent is a CloudEvent whose attributes are headers: the body is the change message.
func binaryEvent(body []byte, h http.Header) (Post, *Problem) {
	p := wrongEvent("ce-", func(name string) string { return h.Get("ce-" + name) })
	source := h.Get("Ce-Source")
	if p == nil && !messages.ValidID(source) {
		p = &Problem{Field: "ce-source", Message: "want 1 to 128 printable characters"}
	}
	return Post{Format: "json", Body: body, Source: source, Key: eventKey(source, h.Get("Ce-Id"))}, p
}

// eventKey is the key of an event whose request has none: source and id identify an event, so one that is delivered again is
// not published again.
func eventKey(source, id string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + id))
	return fmt.Sprintf("ce-%x", sum[:16])
}

// structuredEvent is a CloudEvent as one JSON object, which is a change message as it is.
func structuredEvent(body []byte, _ http.Header) (Post, *Problem) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(body, &event); err != nil {
		return Post{}, &Problem{Line: 1, Message: "not a JSON object"}
	}
	attribute := func(name string) (text string) {
		_ = json.Unmarshal(event[name], &text) // what is not a string is missing
		return text
	}
	p := wrongEvent("", attribute)
	if p == nil && event["data"] == nil && event["data_base64"] == nil {
		p = &Problem{Field: "data", Message: "missing; want a change message"}
	}
	return Post{Format: "json", Body: body, Key: eventKey(attribute("source"), attribute("id"))}, p
}

// wrongEvent names the first required attribute that an event lacks.
func wrongEvent(prefix string, attribute func(name string) string) *Problem {
	for _, name := range []string{"specversion", "id", "source", "type"} {
		if attribute(name) == "" {
			return &Problem{Field: prefix + name, Message: "missing; a CloudEvent needs it"}
		}
	}
	if v := attribute("specversion"); v != "1.0" {
		return &Problem{Field: prefix + "specversion", Message: "want 1.0"}
	}
	return nil
}
