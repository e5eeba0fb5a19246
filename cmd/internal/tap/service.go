package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/status"
	"idlepolicy/worker/status/httpauth"
	"idlepolicy/worker/stream"
)

// Service is one process of the tap. Set the exported fields, then Run.
type Service struct {
	Config  config.Tap
	Name    string // of this process, as operators see it
	Version string
	Log     *slog.Logger
	Listens func(desktops, page string) // called with both addresses once they are taken; may be nil

	store    natsStore
	registry *Registry
	metrics  *Metrics
	stopping atomic.Bool
}

// Run passes requests on until ctx ends, which is a clean stop and returns nil. It returns an error only for what no waiting
// mends: a file that cannot be read, an address that is taken. NATS may be away for as long as it wants.
func (s *Service) Run(ctx context.Context) error {
	gateway, err := url.Parse(s.Config.GatewayURL)
	if err != nil {
		return fmt.Errorf("IDLE_GATEWAY_URL: %w", err)
	}
	for _, w := range s.Config.Warnings() {
		s.Log.Warn("a setting may not be what was meant", "why", w)
	}
	transport, err := newTransport(s.Config, s.Log)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	s.metrics = NewMetrics(s.Version)
	s.registry = NewRegistry(&s.store, s.Config.Silence)
	s.registry.Count, s.registry.Log = s.metrics.Happened, s.Log
	s.metrics.watch(s.registry, s.store.connected)
	desktops, err := s.desktops(&Proxy{
		Gateway: gateway, RewriteHost: s.Config.RewriteHost, Transport: transport,
		Registry: s.registry, Metrics: s.metrics, Log: s.Log,
	})
	if err != nil {
		return err
	}
	atDesktops, err := listen(ctx, "IDLE_TAP_ADDR", s.Config.Addr)
	if err != nil {
		return err
	}
	page, atPage, err := s.page(ctx, atDesktops.Addr())
	if err != nil {
		_ = atDesktops.Close()
		return err
	}
	if s.Listens != nil {
		s.Listens(atDesktops.Addr().String(), addressOf(atPage))
	}

	// The registry and the page keep running while requests under way are finished.
	rest, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	failed := make(chan error, 1)
	wg.Go(func() { failed <- serve(desktops, atDesktops) })
	if page != nil {
		wg.Go(func() { s.logFailure("status", serve(page, atPage)) })
		defer func() { _ = page.Close() }()
	}
	wg.Go(func() { s.registry.Run(rest) })
	wg.Go(func() { s.logFailure("NATS", s.follow(rest)) })
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.stop(desktops) //nolint:contextcheck // the context has ended, which is the reason to stop
	return nil
}

// storeWithin is how long a stop waits for records that are not stored yet. What is lost then is learned again from the
// next request of each desktop.
const storeWithin = 2 * time.Second

// stop takes no more connections, lets requests under way finish, and stores what was learned.
func (s *Service) stop(desktops *http.Server) {
	s.stopping.Store(true)
	grace, cancel := context.WithTimeout(context.Background(), s.Config.ShutdownGrace)
	defer cancel()
	if desktops.Shutdown(grace) != nil {
		_ = desktops.Close() // requests that take longer lose their connection
	}
	storing, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	s.registry.Flush(storing)
}

// desktops returns the server that desktops connect to. It sets no limit to how long a request or an answer takes.
func (s *Service) desktops(handler http.Handler) (*http.Server, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: handler, Protocols: protocols, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 3 * time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // it would quote what strangers send
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	if s.Config.Cert == "" {
		return server, nil
	}
	pair := &httpauth.Certificate{Cert: s.Config.Cert, Key: s.Config.Key, Log: s.Log}
	if err := pair.Load(); err != nil {
		return nil, err
	}
	server.TLSConfig = pair.Config()
	return server, nil
}

func newTransport(c config.Tap, log *slog.Logger) (*Transport, error) {
	files := &Files{CA: c.GatewayCA, Cert: c.GatewayCert, Key: c.GatewayKey, Log: log}
	if err := files.Open(); err != nil {
		return nil, err
	}
	return Upstream{Timeout: c.GatewayTimeout, ServerName: c.GatewayServerName, Insecure: c.GatewayInsecure, Files: files}.Transport(), nil
}

func listen(ctx context.Context, variable, address string) (net.Listener, error) {
	l, err := status.Listen(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", variable, address, err)
	}
	return l, nil
}

func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func serve(server *http.Server, l net.Listener) error {
	run := func() error { return server.Serve(l) }
	if server.TLSConfig != nil {
		run = func() error { return server.ServeTLS(l, "", "") }
	}
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Service) logFailure(what string, err error) {
	if err != nil {
		s.Log.Error("part of this process has failed", "what", what, "err", err)
	}
}

// follow connects to NATS, whenever that is possible, and keeps up with the other taps until ctx ends.
func (s *Service) follow(ctx context.Context) error {
	options := natsOptions(s.Config, s.Name, s.Log)
	options.Wait = true
	for {
		r, err := stream.OpenRegistry(ctx, options, messages.Names{Prefix: s.Config.Prefix})
		if err == nil {
			defer r.Close()
			s.store.use(r)
			return r.Attend(ctx, s.registry.Silent, s.registry.Heard, s.registry.Verify)
		}
		if ctx.Err() != nil {
			return nil
		}
		s.Log.Warn("no connection to NATS, trying again", "err", err)
		if !pause(ctx, time.Second) {
			return nil
		}
	}
}

func natsOptions(c config.Tap, name string, log *slog.Logger) stream.Options {
	return stream.Options{
		URLs: c.NATSURLs, Name: name, Creds: c.NATSCreds, CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey, Log: log,
		Domain: c.NATSDomain, InboxPrefix: c.NATSInboxPrefix, TLSFirst: c.NATSTLSFirst,
	}
}
