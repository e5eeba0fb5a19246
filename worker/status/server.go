package status

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"idlepolicy/worker/view"
)

// Server is the HTTP server of the process. Set the exported fields, then call Listen, then Serve.
type Server struct {
	Addr      string
	Name      string // of this process, as the other replicas know it
	Site      string // the prefix, for people who look at several sites
	Worker    Worker
	Owner     Worker // asks the owner if that is another process; nil: cannot
	Role      func() Role
	Replicas  func(ctx context.Context) []view.Replica // all that stand for the site; nil: only this process is known
	Connected func() bool                              // to NATS
	Sessions  Sessions
	Metrics   *Metrics
	Actions   *Actions    // what people may do on the page; nil: nothing
	API       *API        // what programs may ask and publish; nil: they read the status
	TLS       *tls.Config // nil: plain HTTP
	Version   string
	Log       *slog.Logger // nil: slog.Default

	listener net.Listener
	near     cachedView[view.View] // this process's worker
	far      cachedView[view.View] // the owner, elsewhere
	others   cachedView[[]view.Replica]
	history  history
	live     live
	refused  seldom
}

// Worker answers questions about the work. All methods report false while this process is not the owner, or if no answer came before
// ctx ended.
type Worker interface {
	View(ctx context.Context) (view.View, bool)
	Agent(ctx context.Context, id string) (view.AgentView, bool)
	Covered(ctx context.Context, q view.CoverageQuery) (view.CoveragePage, bool)
}

// Sessions answers questions about who is signed in.
type Sessions interface {
	Len() int
	SignIns() (first, last time.Time) // zero if no record says when
	Ready() <-chan struct{}           // closed as soon as the others can be believed
}

// Role is the role of this process.
type Role struct {
	Role    string // starting, owner or standby
	Owner   string // name of the owner, as far as it is known
	Trouble string // what keeps this process from taking part; empty: nothing
	Since   time.Time
}

// How long a client may take, so that none can hold a connection for nothing.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = time.Minute
	maxHeaderBytes = 16 << 10
	stopWithin     = 3 * time.Second
)

// Listen listens on the address, so that a port that is in use is an error at the start and not later.
func (s *Server) Listen() error {
	l, err := Listen(context.Background(), s.Addr)
	if err != nil {
		return fmt.Errorf("listen for the status page: %w", err)
	}
	if s.TLS != nil {
		l = tls.NewListener(l, s.TLS)
	}
	s.listener = l
	return nil
}

// Address returns the address of the listener, with its port if Addr has port 0.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Serve answers until ctx ends. Then it lets requests finish for a moment and returns nil.
func (s *Server) Serve(ctx context.Context) error {
	defer s.Metrics.watch(s)()
	srv := &http.Server{
		Handler:           s.handler(ctx),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(seldomWriter{&s.refused, s.log()}, "", 0),
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { s.sample(ctx) })
	wg.Go(func() { s.refresh(ctx) })
	wg.Go(func() { stop(ctx, srv) })
	if err := srv.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the status page: %w", err)
	}
	return nil
}

// stop shuts the server down when ctx ends; clients that take too long lose their connection.
func stop(ctx context.Context, srv *http.Server) {
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // nothing is left to tell about it
	}
}

// handler routes requests. Streams of events end with ctx, because a shutdown waits for requests to finish.
func (s *Server) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics())
	s.routes(ctx, mux)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /coverage", s.coveragePage)
	mux.HandleFunc("GET /coverage.csv", s.coverageCSV)
	mux.HandleFunc("GET /agents", s.findAgent)
	mux.HandleFunc("GET /agents/{id}", s.agentPage)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { s.events(ctx, w, r) })
	for name, kind := range assets {
		mux.HandleFunc("GET /"+name, asset(name, kind))
	}
	if s.Actions != nil {
		mux.HandleFunc("POST /actions/{verb}", s.act)
	}
	return guarded(sameOrigin(mux))
}

func (s *Server) metrics() http.Handler {
	return promhttp.HandlerFor(s.Metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(s.log().Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             readTimeout,
		EnableOpenMetrics:   true,
	})
}

// guarded sets headers with which browsers load nothing from other origins, run no inline scripts, and do not show the page in a
// frame.
func guarded(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer browsers send "Origin: null" with the page's own forms
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // it is about now
		next.ServeHTTP(w, r)
	})
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}
