package main

import (
	"context"
	"math"
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) rate() *cobra.Command {
	return &cobra.Command{
		Use: "rate N|configured", Short: "Set the calls per second to the gateway; 0 means no limit",
		Long: `Set the calls per second to the gateway; 0 means no limit. It holds at once, for every worker that takes over and after
every restart, whatever IDLE_RATE says, until "idlectl rate configured" has IDLE_RATE hold again.`,
		Args: one("a number, or the word configured"),
		RunE: a.plain(func(ctx context.Context, args []string) error {
			n, err := strconv.ParseFloat(args[0], 64)
			isNumber := err == nil && n >= 0 && !math.IsInf(n, 0)
			if !isNumber && args[0] != configured {
				return unusablef("rate %q: want a number of calls per second, 0 or more, or the word configured", args[0])
			}
			d, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			if !isNumber {
				return a.valve(d.ConfiguredRate(ctx))
			}
			return a.valve(d.Rate(ctx, n))
		}),
	}
}

// configured takes the operators' rate back.
const configured = "configured"
