package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker/status/httpauth"
)

const publisherToken = "a-publisher-of-the-test"

// posts is what was published.
type posts struct {
	mu  sync.Mutex
	all []Post
	err error
}

func (p *posts) publish(_ context.Context, post Post) (Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return Receipt{}, p.err
	}
	p.all = append(p.all, post)
	return Receipt{Stream: "IDLEPOLICY_CHANGES", FirstSeq: 7, LastSeq: 7, Changes: 1}, nil
}

func (p *posts) taken() []Post {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

// withAPI lets programs ask, and one publisher publish.
func (s *stage) withAPI(t *testing.T) *posts {
	t.Helper()
	p := &posts{}
	tokens := &httpauth.Tokens{Path: filepath.Join(t.TempDir(), "publishers"), Log: slog.New(slog.DiscardHandler)}
	if err := os.WriteFile(tokens.Path, []byte("wfm "+publisherToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Load(); err != nil {
		t.Fatal(err)
	}
	s.server.API = &API{
		Publishers: tokens, Publish: p.publish,
		Explain: func(_ context.Context, agent string, last int) (any, error) {
			return map[string]any{"agent": agent, "last": last}, nil
		},
		Batch: func(_ context.Context, id string) ([]byte, error) {
			if id == "none" {
				return nil, nil
			}
			return []byte(`{"batch_id":"` + id + `"}`), nil
		},
		Results: func(ctx context.Context, q ResultQuery, each func(uint64, []byte) error) error {
			for seq := max(q.From, 1); seq <= 3; seq++ {
				if err := each(seq, []byte(`{"outcome":"applied"}`)); err != nil {
					return err
				}
			}
			if q.Follow {
				<-ctx.Done()
			}
			return ctx.Err()
		},
		LastSeq: func(context.Context) (uint64, error) { return 0, nil },
		Streams: func(context.Context) (any, error) { return map[string]int{"results": 3}, nil },
	}
	return p
}

// do sends a request with these headers, name and value in turns.
func (s *stage) do(t *testing.T, method, path string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

const bearer = "Bearer " + publisherToken

func TestPublishOverHTTP(t *testing.T) {
	s := newStage()
	p := s.withAPI(t)
	s.open(t)
	const change = `{"agent_id":"1001","flag":"true"}`
	event := `{"specversion":"1.0","id":"e-1","source":"/wfm","type":"shift","data":` + change + `}`
	for name, test := range map[string]struct {
		body    string
		headers []string
		want    Post
	}{
		"JSON":             {change, []string{"Content-Type", "application/json; charset=utf-8"}, Post{Format: "json", Source: "wfm"}},
		"with a key":       {change, []string{"Content-Type", "application/json", "Idempotency-Key", "k-1"}, Post{Format: "json", Source: "wfm", Key: "k-1"}},
		"CSV":              {"agent_id,flag\n1001,true\n", []string{"Content-Type", "text/csv"}, Post{Format: "csv", Source: "wfm"}},
		"NDJSON":           {change + "\n" + change, []string{"Content-Type", "application/x-ndjson"}, Post{Format: "jsonl", Source: "wfm"}},
		"structured event": {event, []string{"Content-Type", "application/cloudevents+json; charset=UTF-8"}, Post{Format: "json", Source: "wfm", Key: eventKey("/wfm", "e-1")}},
		"binary event": {change, []string{
			"Content-Type", "application/json", "ce-specversion", "1.0", "ce-id", "e-1", "ce-source", "/wfm", "ce-type", "shift",
		}, Post{Format: "json", Source: "/wfm", Key: eventKey("/wfm", "e-1")}},
		"binary event with a key": {change, []string{
			"Content-Type", "application/json", "ce-specversion", "1.0", "ce-id", "e-1", "ce-source", "/wfm", "ce-type", "shift", "Idempotency-Key", "k-2",
		}, Post{Format: "json", Source: "/wfm", Key: "k-2"}},
	} {
		answer := s.do(t, http.MethodPost, "/api/changes", strings.NewReader(test.body), append(test.headers, "Authorization", bearer)...)
		var receipt Receipt
		if err := json.NewDecoder(answer.Body).Decode(&receipt); err != nil || answer.StatusCode != http.StatusAccepted || receipt.FirstSeq != 7 {
			t.Errorf("%s: status %d, %+v, %v", name, answer.StatusCode, receipt, err)
		}
		test.want.Body = []byte(test.body)
		got := p.taken()
		if len(got) != 1 || got[0].Format != test.want.Format || got[0].Source != test.want.Source || got[0].Key != test.want.Key || !bytes.Equal(got[0].Body, test.want.Body) {
			t.Errorf("%s: published %+v, want %+v", name, got, test.want)
		}
	}
}

func TestPublishOverHTTPRefuses(t *testing.T) {
	s := newStage()
	p := s.withAPI(t)
	s.open(t)
	const change = `{"agent_id":"1001","flag":"true"}`
	asJSON := []string{"Content-Type", "application/json"}
	known := append([]string{"Authorization", bearer}, asJSON...)
	for name, test := range map[string]struct {
		body    string
		headers []string
		code    int
	}{
		"no token":                 {change, asJSON, http.StatusUnauthorized},
		"a wrong token":            {change, append([]string{"Authorization", "Bearer a-publisher-of-the-tesT"}, asJSON...), http.StatusUnauthorized},
		"a part of the token":      {change, append([]string{"Authorization", bearer[:20]}, asJSON...), http.StatusUnauthorized},
		"the name as token":        {change, append([]string{"Authorization", "Bearer wfm"}, asJSON...), http.StatusUnauthorized},
		"a password":               {change, append([]string{"Authorization", "Basic d2ZtOmEtcHVibGlzaGVy"}, asJSON...), http.StatusUnauthorized},
		"two tokens":               {change, append([]string{"Authorization", bearer}, known...), http.StatusUnauthorized},
		"another origin":           {change, append([]string{"Origin", "https://evil.example"}, known...), http.StatusForbidden},
		"another site":             {change, append([]string{"Sec-Fetch-Site", "cross-site"}, known...), http.StatusForbidden},
		"no type":                  {change, []string{"Authorization", bearer}, http.StatusUnsupportedMediaType},
		"a form":                   {"a=b", []string{"Authorization", bearer, "Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		"text":                     {change, []string{"Authorization", bearer, "Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		"compressed":               {change, append([]string{"Content-Encoding", "gzip"}, known...), http.StatusUnsupportedMediaType},
		"a batch of events":        {"[]", []string{"Authorization", bearer, "Content-Type", "application/cloudevents-batch+json"}, http.StatusUnsupportedMediaType},
		"a key of two lines":       {change, append([]string{"Idempotency-Key", "a\tb"}, known...), http.StatusBadRequest},
		"a long key":               {change, append([]string{"Idempotency-Key", strings.Repeat("k", 129)}, known...), http.StatusBadRequest},
		"two keys":                 {change, append([]string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, known...), http.StatusBadRequest},
		"an event without id":      {change, append([]string{"ce-specversion", "1.0", "ce-source", "/a", "ce-type", "t"}, known...), http.StatusBadRequest},
		"an event of version 2":    {change, append([]string{"ce-specversion", "2.0", "ce-id", "1", "ce-source", "/a", "ce-type", "t"}, known...), http.StatusBadRequest},
		"no event":                 {change, []string{"Authorization", bearer, "Content-Type", "application/cloudevents+json"}, http.StatusBadRequest},
		"an event that is a list":  {"[1]", []string{"Authorization", bearer, "Content-Type", "application/cloudevents+json"}, http.StatusBadRequest},
		"a body that is too large": {strings.Repeat(" ", maxBody+1), known, http.StatusRequestEntityTooLarge},
	} {
		answer := s.do(t, http.MethodPost, "/api/changes", strings.NewReader(test.body), test.headers...)
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != test.code || bytes.Contains(body, []byte(publisherToken)) {
			t.Errorf("%s: status %d, want %d: %s", name, answer.StatusCode, test.code, body)
		}
		if got := p.taken(); len(got) > 0 {
			t.Errorf("%s: published %+v", name, got)
		}
		if test.code == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: without WWW-Authenticate", name)
		}
	}
	for _, path := range []string{"/api/changes/", "/api/changes/1001", "/api/CHANGES", "/api/changes%2f", "/api/..%2fapi/changes"} {
		if code := s.do(t, http.MethodPost, path, strings.NewReader(change), known...).StatusCode; code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", path, code)
		}
	}
	if code := s.do(t, http.MethodGet, "/api/changes", nil).StatusCode; code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", code)
	}
}

func TestChangesThatAreNotStored(t *testing.T) {
	s := newStage()
	p := s.withAPI(t)
	s.open(t)
	post := func() *http.Response {
		return s.do(t, http.MethodPost, "/api/changes", strings.NewReader("{}"), "Authorization", bearer, "Content-Type", "application/json")
	}
	p.err = &Unusable{[]Problem{{Line: 1, Field: "flag", Message: "missing"}}}
	answer := post()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusBadRequest || !json.Valid(body) || !bytes.Contains(body, []byte(`"column": 0`)) {
		t.Errorf("status %d: %s", answer.StatusCode, body)
	}
	p.err = errors.New("the stream is full")
	answer = post()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !bytes.Contains(body, []byte("full")) {
		t.Errorf("status %d: %s", answer.StatusCode, body)
	}
}

func TestNobodyPublishesWithoutPublishers(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	s.server.API.Publishers = nil
	s.open(t)
	if code := s.do(t, http.MethodPost, "/api/changes", strings.NewReader("{}"), "Authorization", bearer, "Content-Type", "application/json").StatusCode; code != http.StatusNotFound {
		t.Errorf("status %d", code)
	}
}

func TestQuestionsOverHTTP(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	s.open(t)
	for path, want := range map[string]struct {
		code int
		says string
	}{
		"/api/agents/1001":               {http.StatusOK, `"last": 10`},
		"/api/agents/1001?last=3":        {http.StatusOK, `"last": 3`},
		"/api/agents/1001?last=0":        {http.StatusBadRequest, badLast},
		"/api/agents/12":                 {http.StatusBadRequest, badAgentID},
		"/api/agents/..%2f..%2fmetrics":  {http.StatusBadRequest, badAgentID},
		"/api/batches/late-7":            {http.StatusOK, `"batch_id": "late-7"`},
		"/api/batches/none":              {http.StatusNotFound, "nothing is stored"},
		"/api/batches/a.b":               {http.StatusBadRequest, badBatchID},
		"/api/batches/%3e":               {http.StatusBadRequest, badBatchID},
		"/api/results":                   {http.StatusOK, "{\"outcome\":\"applied\"}\n{\"outcome\":\"applied\"}\n"},
		"/api/results?agent=*":           {http.StatusBadRequest, "agent: "},
		"/api/results?outcome=applied,x": {http.StatusBadRequest, "outcome: "},
		"/api/results?batch=>":           {http.StatusBadRequest, "batch: "},
		"/api/results?since=yesterday":   {http.StatusBadRequest, "since: "},
		"/api/results?since=1h&last=3":   {http.StatusOK, "applied"},
		"/api/results?lst=3":             {http.StatusBadRequest, "unknown"},
		"/api/results?last=10001":        {http.StatusBadRequest, badLast},
		"/api/results?since=2026-11-22T18:00:00+01:00&outcome=applied,failed": {http.StatusOK, "applied"},
	} {
		answer := s.do(t, http.MethodGet, path, nil)
		if body, _ := io.ReadAll(answer.Body); answer.StatusCode != want.code || !strings.Contains(string(body), want.says) {
			t.Errorf("%s: status %d: %s", path, answer.StatusCode, body)
		}
	}
}

// A client that was cut off goes on behind the last event that it has seen.
func TestResultsAreFollowed(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	s.open(t)
	for last, want := range map[string]string{
		"":  "retry: 1000\n\nid: 1\nevent: result\ndata: {\"outcome\":\"applied\"}\n\n",
		"2": "retry: 1000\n\nid: 3\nevent: result\ndata: {\"outcome\":\"applied\"}\n\n",
	} {
		answer := s.do(t, http.MethodGet, "/api/results", nil, "Accept", "text/event-stream", "Last-Event-ID", last)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want || answer.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("behind %q: %q, %v", last, got, err)
		}
	}
	if code := s.do(t, http.MethodGet, "/api/results", nil, "Accept", "text/event-stream", "Last-Event-ID", "x").StatusCode; code != http.StatusBadRequest {
		t.Errorf("status %d", code)
	}
}

// However many results there are, a client that takes none is let go.
func TestSlowReadersAreDisconnected(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	over := make(chan error, 1)
	s.server.API.Results = func(_ context.Context, _ ResultQuery, each func(uint64, []byte) error) error {
		var err error
		for seq := uint64(1); err == nil; seq++ {
			err = each(seq, bytes.Repeat([]byte("x"), 1<<16))
		}
		over <- err
		return err
	}
	s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/results", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	select {
	case err := <-over: // without a byte having been read
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Error("it goes on")
	}
}
