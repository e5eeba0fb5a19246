package main

import (
	"context"
	"math"
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) rate() *cobra.Command {
	return &cobra.Command{
		Use: "rate N", Short: "Set the calls per second to the gateway; 0 is no limit", Args: one("a number"),
		RunE: a.plain(func(ctx context.Context, args []string) error {
			n, err := strconv.ParseFloat(args[0], 64)
			if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
				return unusablef("rate %q: want a number of calls per second, 0 or more", args[0])
			}
			d, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			return a.valve(d.Rate(ctx, n))
		}),
	}
}
