package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/worker/stream/natstest"
)

// heed learns from the log where the page is.
func (w *worker) heed(line string) {
	var l struct {
		Msg string `json:"msg"`
		URL string `json:"url"`
	}
	if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "status page" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.url = strings.TrimSuffix(l.URL, "/")
	}
}

func (w *worker) address() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.url
}

// get asks the worker's HTTP server; status 0: it does not answer.
func (w *worker) get(path string) (status int, body string) {
	if w.address() == "" {
		return 0, ""
	}
	client := &http.Client{Timeout: patience}
	resp, err := client.Get(w.address() + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// metric reads one value from /metrics; 0 where it is missing.
func (w *worker) metric(name string) float64 {
	_, text := w.get("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n
		}
	}
	return 0
}

func TestProbesAnswerBeforeNATSIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// A port that is free, because a server just left it, and that a server can take again.
	store := t.TempDir()
	first := natstest.StartAt(t, store, -1)
	url, port := first.ClientURL(), natstest.Port(first)
	natstest.Stop(first)

	w := s.launch("IDLE_NATS_URL=" + url)
	s.await(func() bool { status, _ := w.get("/healthz"); return status == 200 }, func() string { return "/healthz to answer" })
	if status, body := w.get("/readyz"); status != 503 || !strings.Contains(body, "NATS") {
		t.Errorf("/readyz: %d %s, want 503 and that NATS is missing", status, body)
	}
	if status, body := w.get("/metrics"); status != 200 || !strings.Contains(body, "idlepolicy_nats_connected 0") {
		t.Errorf("/metrics: %d, want 200 and idlepolicy_nats_connected 0", status)
	}
	if status, _ := w.get("/"); status != 200 {
		t.Errorf("/: %d, want 200", status)
	}

	natstest.StartAt(t, store, port)
	s.await(func() bool { status, _ := w.get("/readyz"); return status == 200 }, func() string { return "/readyz to say ready:\n" + w.Output() })
	s.await(func() bool { return w.metric("idlepolicy_owner") == 1 }, func() string { return "an owner" })
}

func TestHealthAsksTheWorker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start()
	// What is wrong with a file or a name is no trouble of the worker that runs.
	env := s.env("IDLE_HTTP_ADDR="+strings.TrimPrefix(w.address(), "http://"), "IDLE_NATS_CREDS=/nowhere", "IDLE_GATEWAY_CA=/dev/null", "IDLE_RAET=5")
	ask := func() (int, string) {
		p := faulttest.Start(t, program, faulttest.Options{Args: []string{"-health"}, Env: env})
		return p.Wait(), p.Output()
	}
	if status, out := ask(); status != 0 || !strings.Contains(out, `"ready": true`) {
		t.Errorf("-health beside a worker: status %d, %s", status, out)
	}
	w.Kill()
	if status, out := ask(); status != 1 || !strings.Contains(out, "no worker answers at IDLE_HTTP_ADDR=127.0.0.1:") {
		t.Errorf("-health without a worker: status %d, %q, want 1 and a reason", status, out)
	}
}
