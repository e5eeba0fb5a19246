package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"idlepolicy/worker/stream/desk"
)

func (a *app) pause() *cobra.Command {
	return &cobra.Command{
		Use: "pause", Short: "Have the worker make no more calls to the gateway", Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.valve(d.Pause(ctx)) }),
	}
}

// valve shows what the worker answered to pause, resume and rate.
func (a *app) valve(v desk.Valve, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(v)
	}
	state, rate := "the gate is open", "the configured rate"
	if v.Paused {
		state = "the gate is paused"
	}
	if v.Rate != nil {
		rate = perSecond(*v.Rate)
	}
	fmt.Fprintf(a.stdout, "%s, at %s\n", state, rate)
	return nil
}

func perSecond(rate float64) string {
	if rate == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.4g calls per second", rate)
}
