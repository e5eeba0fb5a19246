package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"idlepolicy/cmd/internal/build"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/config"
)

// Exit statuses.
const (
	statusFine        = 0
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130 // as shells have it for Ctrl-C
)

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
		return statusFine
	case err != nil:
		fmt.Fprintf(stderr, "idledemo: %v\nidledemo: -help shows what there is\n", err)
		return statusUsage
	case o.version:
		fmt.Fprintln(stdout, "idledemo", build.Version(version))
		return statusFine
	case o.simulator != "":
		err = simulate(ctx, o, stdout)
	default:
		err = demonstrate(ctx, o, stdin, stdout, stderr)
	}
	return exitStatus(ctx, o, err, stderr)
}

// exitStatus says what went wrong and tells an interruption from a failure.
func exitStatus(ctx context.Context, o options, err error, stderr io.Writer) int {
	interrupted := ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled))
	var problems config.Problems
	switch {
	case interrupted && (o.serve || o.simulator != ""):
		return statusFine
	case interrupted:
		fmt.Fprintln(stderr, "idledemo: interrupted")
		return statusInterrupted
	case err == nil:
		return statusFine
	case errors.As(err, &problems): // they name the variables, one a line
		fmt.Fprintln(stderr, err)
	default:
		fmt.Fprintln(stderr, "idledemo: "+terminal.CleanLines(err.Error()))
	}
	return statusFailed
}
