package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/cmd/internal/build"
	"idlepolicy/cmd/internal/service"
	"idlepolicy/cmd/internal/tap"
	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

// site is everything that runs in this process. close stops it in the reverse order of its beginnings, so that the worker
// stops cleanly while what it needs is still there.
type site struct {
	config  config.Config
	log     *slog.Logger
	nats    *server.Server
	gateway *gatewaytest.Gateway
	desk    *desk.Desk
	tap     string // URL that desktops use as the gateway's
	page    string // address of the status page; empty: none
	ends    []func()
}

// open starts everything. It calls fail if the worker ends with an error.
func open(ctx context.Context, fail func(error), c config.Config, natsPort int, log *slog.Logger) (*site, error) {
	s := &site{config: c, log: log}
	for _, start := range []func() error{
		func() error { return s.startServers(natsPort) }, //nolint:contextcheck // taking addresses is done at once
		func() error { return s.startWorker(ctx, fail) },
		func() error { return s.startTap(ctx, fail) },
		func() error { return s.openDesk(ctx) },
	} {
		if err := start(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *site) close() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	s.ends = nil
}

func (s *site) startServers(natsPort int) (err error) {
	dir, err := tempDir()
	if err != nil {
		return fmt.Errorf("make a temporary directory (TMPDIR says where): %w", err)
	}
	s.ends = append(s.ends, func() { _ = os.RemoveAll(dir) })
	if s.nats, err = startNATS(dir, natsPort, s.log); err != nil {
		return err
	}
	s.ends = append(s.ends, func() { stopNATS(s.nats) })
	if s.gateway, err = gatewaytest.Start(gatewaytest.Options{OldGUIDFor: oldGUIDFor}); err != nil {
		return err
	}
	s.ends = append(s.ends, s.gateway.Close)
	ca, err := s.gateway.WriteCA(dir)
	if err != nil {
		return fmt.Errorf("write the authority of the gateway's certificate: %w", err)
	}
	lead(&s.config, s.gateway.URL(), ca, s.nats.ClientURL())
	return nil
}

// tempDir makes a directory for all that is to be gone afterwards. An image with nothing in it but the program has no
// /tmp, but a container has shared memory.
func tempDir() (string, error) {
	const pattern = "idledemo-"
	dir, err := os.MkdirTemp("", pattern)
	if err == nil {
		return dir, nil
	}
	if dir, shmErr := os.MkdirTemp("/dev/shm", pattern); shmErr == nil {
		return dir, nil
	}
	return "", err
}

// startWorker returns when the worker's status page can be reached, if there is to be one.
func (s *site) startWorker(ctx context.Context, fail func(error)) error {
	listens := make(chan string, 1)
	worker := &service.Service{
		Config: s.config, Name: service.ProcessName(), Version: build.Version(version), Log: s.log,
		Page: func(address string) { listens <- address },
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(working) }()
	if s.config.HTTPAddr != "" {
		select {
		case s.page = <-listens:
		case err := <-ended:
			stop()
			return errors.Join(err, ctx.Err())
		}
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := <-ended; err != nil {
			fail(fmt.Errorf("the worker cannot go on: %w", err))
		}
	}()
	s.ends = append(s.ends, func() { stop(); <-watched })
	return nil
}

// startTap returns when desktops can reach the tap.
func (s *site) startTap(ctx context.Context, fail func(error)) error {
	listens := make(chan string, 1)
	t := &tap.Service{
		Config: config.Tap{
			Gateway: s.config.Gateway, Client: s.config.Client, Addr: "127.0.0.1:0", Silence: silence,
		},
		Name: "idledemo", Version: build.Version(version), Log: s.log,
		Listens: func(desktops, _ string) { listens <- desktops },
	}
	passing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- t.Run(passing) }()
	select {
	case address := <-listens:
		s.tap = "http://" + address
	case err := <-ended:
		stop()
		return errors.Join(err, ctx.Err())
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := <-ended; err != nil {
			fail(fmt.Errorf("the tap cannot go on: %w", err))
		}
	}()
	s.ends = append(s.ends, func() { stop(); <-watched })
	return nil
}

// silence is how long an agent may be silent, as at the real gateway.
const silence = 2 * time.Minute

const lookAgain = 50 * time.Millisecond

// openDesk returns when the worker has made its streams and buckets.
func (s *site) openDesk(ctx context.Context) (err error) {
	o := stream.Options{URLs: s.config.NATSURLs, Name: "idledemo"}
	if s.desk, err = desk.Open(ctx, o, messages.Names{Prefix: s.config.Prefix}); err != nil {
		return err
	}
	s.ends = append(s.ends, s.desk.Close)
	for {
		var away *desk.Unreachable
		if _, err = s.desk.Overview(ctx); !errors.As(err, &away) {
			return err
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// meanwhile does something until the site is closed.
func (s *site) meanwhile(ctx context.Context, fail func(error), do func(ctx context.Context) error) {
	doing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := do(doing); err != nil && doing.Err() == nil {
			fail(err)
		}
	}()
	s.ends = append(s.ends, func() { stop(); <-done })
}
