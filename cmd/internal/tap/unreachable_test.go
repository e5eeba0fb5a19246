package tap

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// However many requests fail, operators read one line when it begins, with the address and the reason, and one when it is over.
func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var broken error
		proxy := &Proxy{
			Gateway: &url.URL{Scheme: "https", Host: "gateway:8043"}, Registry: NewRegistry(newMemory(), time.Minute),
			Metrics: NewMetrics("1.2.3"), Log: slog.New(slog.NewTextHandler(&log, nil)),
			Transport: roundTrips(func(r *http.Request) (*http.Response, error) {
				if broken != nil {
					return nil, broken
				}
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			}),
		}
		requests := func(n int, err error) {
			broken = err
			for range n {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/agentgateway/resource/agentevent/1001", nil)
				r.Header.Set("Guid", "a-secret-guid")
				proxy.ServeHTTP(httptest.NewRecorder(), r)
				time.Sleep(time.Second)
			}
		}
		want := func(when string, texts ...string) {
			t.Helper()
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if log.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(texts) || strings.Contains(log.String(), "a-secret-guid") {
				t.Fatalf("%s: %d lines, want %d:\n%s", when, len(lines), len(texts), &log)
			}
			for i, text := range texts {
				if !strings.Contains(lines[i], text) {
					t.Errorf("%s: %q has no %q", when, lines[i], text)
				}
			}
			log.Reset()
		}

		requests(3, nil)
		want("all is well")
		requests(20, syscall.ECONNREFUSED)
		want("it begins", `level=WARN msg="the gateway cannot be reached" address=gateway:8043 why="nobody listens at its address"`)
		requests(3, nil)
		want("it is over", `level=INFO msg="the gateway can be reached again" address=gateway:8043 after=20s requests_failed=20`)
		for range 10 {
			requests(1, errors.New("broken"))
			requests(1, nil)
		}
		want("it comes and goes within a minute")
		requests(60, syscall.ECONNREFUSED)
		want("it has come to stay", "level=WARN")
	})
}

// An answer that was on its way when the gateway went away does not say that it is back.
func TestLateAnswerDoesNotEndAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		var o outage
		sent := time.Now()
		time.Sleep(time.Second)
		o.report(logger, "gateway:8043", "no connection in time")
		o.over(logger, "gateway:8043", sent)
		if !o.open.Load() || strings.Contains(log.String(), "again") {
			t.Errorf("the outage is taken for over:\n%s", &log)
		}
	})
}
