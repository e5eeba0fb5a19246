package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"idlepolicy/config"
	"idlepolicy/worker"
	"idlepolicy/worker/status"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/access"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/trace"
)

// Service is one process of the worker. Set the exported fields, then Run.
type Service struct {
	Config  config.Config
	Name    string // of this process, as operators see it
	Version string
	Log     *slog.Logger
	Page    func(address string) // called with the address of the status page; may be nil

	link link
}

// tryAgain is the pause before a failed request to NATS is repeated.
const tryAgain = time.Second

// Run works until ctx ends, which is a clean stop, and returns nil. It returns an error only for problems that waiting does not solve: a
// file that cannot be read, an address that is in use, a server that is too old, a stream that belongs to another site. It logs all
// other problems and keeps trying.
func (s *Service) Run(ctx context.Context) error {
	lease := stream.NewLease(layout(s.Config))
	calls, err := newGateway(s.Config, lease.Check, s.Log)
	if err != nil {
		return err
	}
	defer calls.Close()
	s.warn()
	metrics := status.NewMetrics(s.Version)
	tracer, err := trace.FromEnvironment(ctx, s.Name, s.Version, s.Log)
	if err != nil {
		return err
	}
	w := &worker.Worker{
		Gateway: calls, Sessions: worker.NewSessions(), Policy: policy(s.Config), Watch: metrics, Log: s.Log,
		Ignored: calls.Ignored, Address: calls.Address,
	}
	owner := s.owner(lease, w)
	if tracer != nil {
		w.Trace = tracer
		defer func() { s.logFailure("traces", tracer.Close(ctx)) }()
	}
	// Everything else keeps running during the owner's clean stop, which needs the sessions and must be visible to probes.
	rest, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() { giveBack(rest) })
	if s.Config.HTTPAddr != "" {
		page, err := s.statusServer(ctx, w, owner, metrics)
		if err != nil {
			return err
		}
		if err := page.Listen(); err != nil { //nolint:contextcheck // taking an address is done at once
			return fmt.Errorf("IDLE_HTTP_ADDR=%s: %w", s.Config.HTTPAddr, err)
		}
		if s.Page != nil {
			s.Page(page.Address())
		}
		wg.Go(func() { s.logFailure("status page", page.Serve(rest)) })
	}
	return s.work(ctx, rest, owner)
}

func (s *Service) owner(lease *stream.Lease, w *worker.Worker) *stream.Owner {
	return &stream.Owner{
		Layout: layout(s.Config), Lease: lease, Worker: w, Name: s.Name, Hold: s.Config.GatewayTimeout,
		Finished: cmp.Or(s.Config.ShutdownGrace, -1), Log: s.Log, // 0 means no grace here and the default there
	}
}

// work connects to NATS and runs the owner.
func (s *Service) work(ctx, rest context.Context, owner *stream.Owner) error {
	options := natsOptions(s.Config, s.Name, s.Log)
	options.Wait = true
	waits := "waits for NATS at " + access.RedactAll(s.Config.NATSURLs)
	s.link.waits(waits)
	options.Held = func(why string) { s.link.waits(waits + ": " + why) }
	conn, err := stream.Connect(ctx, options)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer conn.Close()
	s.link.made(conn.IsConnected)
	if err := s.retry(ctx, "the streams are not ready", func() (bool, error) {
		return stream.Prepare(ctx, conn, owner.Layout)
	}); err != nil {
		return unlessStopped(ctx, err)
	}
	owner.Conn = conn
	programs, err := desk.On(conn, owner.Layout.Names)
	if err != nil {
		return err
	}
	programs.By = "HTTP API of " + s.Name
	asks := &stream.Service{
		Conn: conn, Names: owner.Layout.Names, Owner: owner, Worker: owner.Worker, Version: semantic(s.Version), Log: s.Log,
	}
	s.link.serves(asks, programs)
	others, end := context.WithCancel(rest)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() { owner.FollowSessions(others) })
	wg.Go(func() {
		_ = s.retry(others, "operators cannot ask this process", func() (bool, error) { return false, asks.Run(others) })
	})
	return unlessStopped(ctx, owner.Run(ctx))
}

// retry repeats f until it succeeds, ctx ends, or its error is one that waiting does not solve.
func (s *Service) retry(ctx context.Context, what string, do func() (final bool, err error)) error {
	said := ""
	for {
		final, err := do()
		if err == nil || final || ctx.Err() != nil {
			return err
		}
		if err.Error() != said {
			said = err.Error()
			s.Log.Warn("start is held up, trying again", "what", what, "err", err)
			s.link.waits(said)
		}
		select {
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unlessStopped returns nil for an error that was caused by a stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// warn logs at the start the warnings that -check prints.
func (s *Service) warn() {
	for _, w := range s.Config.Warnings() {
		s.Log.Warn("a setting may not be what was meant", "why", w)
	}
}

func (s *Service) logFailure(what string, err error) {
	if err != nil {
		s.Log.Error("part of this process has failed", "what", what, "err", err)
	}
}

func (s *Service) statusServer(ctx context.Context, w *worker.Worker, owner *stream.Owner, metrics *status.Metrics) (*status.Server, error) {
	actions, err := s.actions()
	if err != nil {
		return nil, err
	}
	api, err := s.api()
	if err != nil {
		return nil, err
	}
	certificate, err := s.certificate()
	if err != nil {
		return nil, err
	}
	var https *tls.Config
	if certificate != nil {
		https = certificate.Config()
	}
	return &status.Server{
		API: api, TLS: https,
		Addr: s.Config.HTTPAddr, Name: s.Name, Site: s.Config.Prefix, Worker: w, Owner: &s.link, Sessions: w.Sessions,
		Role: func() status.Role { return s.role(ctx, owner) }, Replicas: s.link.replicas,
		Connected: s.link.isConnected, Metrics: metrics, Actions: actions, Version: s.Version, Log: s.Log,
	}, nil
}

// role returns the role of this process. A process that is stopping has none, although it still finishes calls.
func (s *Service) role(ctx context.Context, owner *stream.Owner) status.Role {
	r := s.link.role(owner.State())
	if ctx.Err() != nil && r.Trouble == "" {
		r.Trouble = "it is stopping"
	}
	return r
}
