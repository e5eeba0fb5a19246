package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/status"
	"idlepolicy/worker/stream/natstest"
)

const publisher = "a-publisher-of-the-test"

// withPublisher lets one publisher publish over HTTP.
func (s *site) withPublisher() {
	s.t.Helper()
	s.config.HTTPPublishersFile = filepath.Join(s.t.TempDir(), "publishers")
	if err := os.WriteFile(s.config.HTTPPublishersFile, []byte("wfm "+publisher+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// send publishes over HTTP.
func (s *site) send(kind, body string, headers ...string) (code int, answer string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.page+"/api/changes", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+publisher)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.ask(r)
}

func (s *site) receipt(kind, body string, headers ...string) (r status.Receipt) {
	s.t.Helper()
	code, answer := s.send(kind, body, headers...)
	if err := json.Unmarshal([]byte(answer), &r); err != nil || code != http.StatusAccepted {
		s.t.Fatalf("status %d: %s", code, answer)
	}
	return r
}

func (s *site) changes(js jetstream.JetStream) jetstream.StreamState {
	s.t.Helper()
	st, err := js.Stream(s.t.Context(), s.names.ChangesStream())
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().State
}

func TestShiftChangeOverHTTP(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	s.signIn(js, "1001")
	const body = `{"agent_id":"1001","flag":"false","batch_id":"b"}`
	first := s.receipt("application/json", body, "Idempotency-Key", "key-1")
	if again := s.receipt("application/json", body, "Idempotency-Key", "key-1"); again.FirstSeq != first.FirstSeq || again.Duplicates != 1 || again.Changes != 1 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	stored := s.result(js, messages.Applied, "1001")
	var r messages.Result
	if err := json.Unmarshal(stored.Data, &r); err != nil || r.Source != "wfm" || r.ChangeID != "key-1" || r.ChangeSeq != first.FirstSeq {
		t.Errorf("result %s", stored.Data)
	}
	for kind, test := range map[string]struct {
		body    string
		headers []string
		source  string
		changes int
	}{
		"text/csv":                     {"agent_id,flag,source\n1002,true,\n1003,false,planner\n", nil, "wfm", 2},
		"application/x-ndjson":         {`{"agent_id":"1002","flag":"true"}` + "\n" + `[{"agent_id":"1003","flag":"true"}]` + "\n", nil, "wfm", 2},
		"application/cloudevents+json": {`{"specversion":"1.0","id":"e","source":"/event","type":"t","data":{"agent_id":"1002","flag":"true"}}`, nil, "/event", 1},
		"application/json": {
			`{"agent_id":"1002","flag":"true"}`, []string{"ce-specversion", "1.0", "ce-id", "e", "ce-source", "/binary", "ce-type", "t"}, "/binary", 1,
		},
	} {
		got := s.receipt(kind, test.body, test.headers...)
		if got.Changes != test.changes || got.Stream != s.names.ChangesStream() || int(got.LastSeq-got.FirstSeq) != test.changes-1 {
			t.Errorf("%s: %+v", kind, got)
		}
		if strings.HasPrefix(test.source, "/") { // an event that is delivered again
			if again := s.receipt(kind, test.body, test.headers...); again.FirstSeq != got.FirstSeq || again.Duplicates != 1 {
				t.Errorf("%s: %+v, again %+v", kind, got, again)
			}
		}
		s.wait("agent 1002 has a result of "+kind, func() bool {
			m, err := s.lastResult(js, "1002")
			return err == nil && json.Unmarshal(m, &r) == nil && r.ChangeSeq == got.FirstSeq && r.Source == test.source
		})
	}
	s.wait("the batch has its summary", func() bool {
		code, answer := s.get("/api/batches/b")
		return code == http.StatusOK && strings.Contains(answer, `"finished_at"`)
	})
	if code, answer := s.get("/api/agents/1001"); code != http.StatusOK || !strings.Contains(answer, `"in_force": {`) || !strings.Contains(answer, `"signed_in": true`) {
		t.Errorf("status %d: %s", code, answer)
	}
	if code, answer := s.get("/api/results?agent=1001&last=1"); code != http.StatusOK || strings.Count(answer, "\n") != 1 || !strings.Contains(answer, "key-1") {
		t.Errorf("status %d: %s", code, answer)
	}
	if lines := s.log.lines(t, "changes published over HTTP"); len(lines) != 8 || lines[0]["by"] != "wfm" {
		t.Errorf("logged %v", lines)
	}
	if strings.Contains(s.log.text(), publisher) {
		t.Error("the log shows the token")
	}
}

func (s *site) lastResult(js jetstream.JetStream, agent string) ([]byte, error) {
	st, err := js.Stream(s.t.Context(), s.names.ResultsStream())
	if err != nil {
		return nil, err
	}
	m, err := st.GetLastMsgForSubject(s.t.Context(), s.names.AgentResults(agent))
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// One problem anywhere, and nothing is published.
func TestProblemsOverHTTP(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	before := s.changes(js).LastSeq
	for kind, test := range map[string]struct{ body, want string }{
		"text/csv":                     {"agent_id,flag\n1001,true\n1002,vrai\n", `"line": 3`},
		"application/x-ndjson":         {`{"agent_id":"1001","flag":"true"}` + "\n" + `{"agent_id":"7","flag":"true"}`, `"field": "agent_id"`},
		"application/json":             {`{"flag":"true","changes":[{"agent_id":"1001"},{"agent_id":"1002","flag":"yes"}]}`, `"field": "flag"`},
		"application/cloudevents+json": {`{"specversion":"1.0","id":"e","source":"/event","type":"t","data":{"agent_id":"1002"}}`, `"field": "flag"`},
	} {
		if code, answer := s.send(kind, test.body); code != http.StatusBadRequest || !strings.Contains(answer, test.want) || !strings.Contains(answer, `"problems": [`) {
			t.Errorf("%s: status %d: %s", kind, code, answer)
		}
	}
	if after := s.changes(js).LastSeq; after != before {
		t.Errorf("%d messages were published", after-before)
	}
}

// The stream refuses the rest of a file, and takes it when the request is repeated. Nothing is stored twice.
func TestStreamThatStoresAPartOverHTTP(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	config := func(most int64) {
		t.Helper()
		changes, err := js.Stream(t.Context(), s.names.ChangesStream())
		if err != nil {
			t.Fatal(err)
		}
		c := changes.CachedInfo().Config
		c.MaxMsgs, c.Discard = most, jetstream.DiscardNew
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	s.wait("nothing is unfinished", func() bool { return s.changes(js).Msgs == 0 })
	before := s.changes(js).LastSeq
	config(3)
	const file = "agent_id,flag\n1001,true\n1002,true\n1003,true\n1004,true\n1005,true\n"
	code, answer := s.send("text/csv", file, "Idempotency-Key", "part")
	if code != http.StatusServiceUnavailable || !strings.Contains(answer, "stored 3 of 5 messages; repeat the request with the same Idempotency-Key") {
		t.Errorf("status %d: %s", code, answer)
	}
	if code, answer = s.send("text/csv", file); code != http.StatusServiceUnavailable || !strings.Contains(answer, "stored 0 of 5 messages; repeat the request, with an Idempotency-Key") {
		t.Errorf("without a key: status %d: %s", code, answer)
	}
	config(-1)
	if again := s.receipt("text/csv", file, "Idempotency-Key", "part"); again.Changes != 5 || again.Duplicates != 3 {
		t.Errorf("again: %+v", again)
	}
	if n := s.changes(js).LastSeq - before; n != 5 {
		t.Errorf("%d messages are stored for 5 changes", n)
	}
}

// A standby publishes by itself and asks the owner.
func TestStandbyAnswersOverHTTP(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	s.signIn(js, "1001")
	s.start()
	s.wait("the second one stands by", func() bool { r := s.ready(); return r.Ready && r.Role == "standby" })
	s.receipt("application/json", `{"agent_id":"1001","flag":"false"}`)
	s.result(js, messages.Applied, "1001")
	s.wait("the owner is asked", func() bool {
		_, answer := s.get("/api/agents/1001")
		return strings.Contains(answer, `"signed_in": true`) && strings.Contains(answer, `"in_force": {`)
	})
	s.wait("the status has the owner's view", func() bool {
		_, answer := s.get("/api/status")
		return strings.Contains(answer, `"view": {`) && strings.Contains(answer, `"owner": "w1"`)
	})
}

func TestResultsOverHTTPAreFollowed(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/api/results?agent=1001", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	s.receipt("application/json", `{"agent_id":"1001","flag":"false","id":"c-1"}`)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(lines.Text(), `"c-1"`) {
			return
		}
	}
	t.Errorf("no event came: %v", lines.Err())
}

// What a client library would not send: the server's own limits and its reading of requests.
func TestHostileRequests(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	before := s.changes(js).LastSeq
	const change = `{"agent_id":"1001","flag":"true"}`
	head := "POST /api/changes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	authorized := head + "Authorization: Bearer " + publisher + "\r\n"
	smuggled := "POST /api/changes HTTP/1.1\r\nHost: x\r\n\r\n"
	t.Run("each", func(t *testing.T) {
		s.hostile(t, map[string]struct{ text, want string }{
			"two lengths":                  {authorized + "Content-Length: 5\r\nContent-Length: 33\r\n\r\n" + change, "400"},
			"a chunk size that is none":    {authorized + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + change, "400"},
			"an unknown transfer encoding": {authorized + "Transfer-Encoding: chunked, gzip\r\n\r\n", "501"},
			"a space before the colon":     {head + "Authorization : Bearer " + publisher + "\r\nContent-Length: 2\r\n\r\n{}", "400"},
			"headers without end":          {head + "X: " + strings.Repeat("x", 64<<10), "431"},
			"a body that is not sent":      {authorized + "Content-Length: 33\r\n\r\n{", "408"},
			"a chunked body without end":   {authorized + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408"},
			"a request in a refused body":  {head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled), "401"},
			"HTTP/1.0 without host":        {"POST /api/changes HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "401"},
			"no host":                      {"POST /api/changes HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "400"},
		})
	})
	if after := s.changes(js).LastSeq; after != before {
		t.Errorf("%d messages were published", after-before)
	}
}

func (s *site) hostile(t *testing.T, requests map[string]struct{ text, want string }) {
	t.Helper()
	for name, test := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.page, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(natstest.Patience)) // never fails for TCP
			if _, err := conn.Write([]byte(test.text)); err != nil {
				t.Fatal(err)
			}
			all, _ := io.ReadAll(conn) // the server ends the connection
			status, _, _ := bytes.Cut(all, []byte("\r\n"))
			if !bytes.Contains(status, []byte(" "+test.want)) || bytes.Count(all, []byte("HTTP/1.")) != 1 {
				t.Errorf("answered %s", all)
			}
		})
	}
}

// Whoever is not sure whether a request came through repeats it, and each change is there once.
func TestTenThousandPostsWithRepeats(t *testing.T) {
	s := newSite(t)
	s.withPublisher()
	s.start()
	s.isOwner()
	js := s.connect()
	before := s.changes(js).LastSeq
	const posts, connections = 10_000, 50
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	next := make(chan int)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := range next {
				for range 1 + i%2 { // every second one is sent twice
					body := fmt.Sprintf(`{"agent_id":"%d","flag":"true"}`, 101+i)
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.page+"/api/changes", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Authorization", "Bearer "+publisher)
					r.Header.Set("Idempotency-Key", fmt.Sprint("post-", i))
					answer, err := client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
					if answer.StatusCode != http.StatusAccepted {
						t.Errorf("post %d: status %d", i, answer.StatusCode)
					}
				}
			}
		})
	}
	began := time.Now()
	for i := range posts {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Logf("%d requests in %v", posts*3/2, time.Since(began).Round(time.Millisecond))
	if got := s.changes(js).LastSeq - before; got != posts {
		t.Errorf("%d messages for %d changes", got, posts)
	}
}
