package tap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"idlepolicy/worker/status"
	"idlepolicy/worker/status/httpauth"
)

// readiness is the body of /readyz.
type readiness struct {
	Ready     bool   `json:"ready"`
	Reason    string `json:"reason"` // why not; empty: it is
	Connected bool   `json:"connected"`
	Sessions  int    `json:"sessions"`
	Waiting   int    `json:"waiting"` // records that are not stored yet
}

// page returns the server for those who look after the tap, which listens for desktops at that address, and takes its own; nil: it is
// turned off.
func (s *Service) page(ctx context.Context, desktops net.Addr) (*http.Server, net.Listener, error) {
	if s.Config.HTTPAddr == "" {
		return nil, nil, nil
	}
	mux := http.NewServeMux()
	_, port, _ := net.SplitHostPort(desktops.String())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		status.Process{Program: "idletap", Site: s.Config.Prefix, Port: port}.Sign(w.Header())
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	tokens, err := newTokens(s.Config, s.Log)
	if err != nil {
		return nil, nil, err
	}
	if tokens != nil {
		api := &api{store: &s.store, tokens: tokens, log: s.Log}
		mux.HandleFunc("PUT /api/sessions/{agent}", api.put)
		mux.HandleFunc("DELETE /api/sessions/{agent}", api.delete)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, EnableOpenMetrics: true}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	if s.Config.HTTPCert != "" {
		pair := &httpauth.Certificate{Cert: s.Config.HTTPCert, Key: s.Config.HTTPKey, Log: s.Log}
		if err := pair.Load(); err != nil {
			return nil, nil, err
		}
		server.TLSConfig = pair.Config()
	}
	l, err := listen(ctx, "IDLE_HTTP_ADDR", s.Config.HTTPAddr)
	return server, l, err
}

// readyz reports whether the tap passes requests on. What NATS does has no part in it: desktops can be served without.
func (s *Service) readyz(w http.ResponseWriter, _ *http.Request) {
	r := readiness{Ready: true, Connected: s.store.connected()}
	r.Sessions, r.Waiting = s.registry.Signed()
	if s.stopping.Load() {
		r.Ready, r.Reason = false, "it is stopping"
	}
	body, _ := json.MarshalIndent(r, "", "  ") // of plain fields it never fails
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n')) // a client that went away is not worth a line
}
