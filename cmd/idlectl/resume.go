package main

import (
	"context"

	"github.com/spf13/cobra"

	"idlepolicy/worker/stream/desk"
)

func (a *app) resume() *cobra.Command {
	return &cobra.Command{
		Use: "resume", Short: "End a pause", Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.valve(d.Resume(ctx)) }),
	}
}
