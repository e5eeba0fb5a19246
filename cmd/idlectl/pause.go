package main

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"idlepolicy/worker/stream/desk"
)

func (a *app) pause() *cobra.Command {
	return &cobra.Command{
		Use: "pause", Short: "Have the worker make no more calls to the gateway", Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.valve(d.Pause(ctx)) }),
	}
}

// valve prints the worker's answer to pause, resume and rate.
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
	return plainNumber(rate) + " calls per second"
}

// plainNumber writes a number without an exponent, and a small one with four digits.
func plainNumber(n float64) string {
	if n >= 1000 {
		n = math.Round(n)
	} else {
		n, _ = strconv.ParseFloat(strconv.FormatFloat(n, 'g', 4, 64), 64) // just written by the same package
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
