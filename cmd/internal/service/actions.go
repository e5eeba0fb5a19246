package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"idlepolicy/worker/status"
	"idlepolicy/worker/stream/desk"
)

// actions returns what people with the token may do on the status page; nil: nothing. It works as idlectl does, so any replica's page
// can be used.
func (s *Service) actions() (*status.Actions, error) {
	if s.Config.HTTPTokenFile == "" {
		return nil, nil
	}
	token, err := os.ReadFile(s.Config.HTTPTokenFile)
	if err != nil {
		return nil, fmt.Errorf("read the token of the status page: %w", err)
	}
	return &status.Actions{
		Token: string(bytes.TrimSpace(token)),
		Pause: s.act(func(ctx context.Context, d *desk.Desk) error {
			_, err := d.Pause(ctx)
			return err
		}),
		Resume: s.act(func(ctx context.Context, d *desk.Desk) error {
			_, err := d.Resume(ctx)
			return err
		}),
		Replay: func(ctx context.Context, agent string) error {
			return s.act(func(ctx context.Context, d *desk.Desk) error { return replay(ctx, d, agent) })(ctx)
		},
	}, nil
}

var errNotYet = errors.New("this process is not connected to NATS yet")

func (s *Service) act(do func(ctx context.Context, d *desk.Desk) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		on := s.link.service()
		if on == nil {
			return errNotYet
		}
		d, err := desk.On(on.Conn, on.Names)
		if err != nil {
			return err
		}
		d.By = "status page of " + s.Name
		return do(ctx, d)
	}
}

func replay(ctx context.Context, d *desk.Desk, agent string) error {
	plan, err := d.PlanLast(ctx, agent)
	if err != nil {
		return err
	}
	return d.Replay(ctx, &plan)
}
