package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"idlepolicy/cmd/internal/build"
	"idlepolicy/cmd/internal/service"
	"idlepolicy/config"
	"idlepolicy/worker/status"
)

// Exit statuses.
const (
	statusFine   = 0
	statusFailed = 1
	statusUsage  = 2
)

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) int {
	flags := flag.NewFlagSet("idleworker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "prove the configuration and the connections, change nothing, exit 0 or 1")
	showVersion := flags.Bool("version", false, "print the version")
	health := flags.Bool("health", false, "ask the worker at IDLE_HTTP_ADDR whether it is ready, reading nothing else, exit 0 or 1")
	flags.Usage = func() {} // 40 lines would hide the one about what is wrong
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout, flags)
		return statusFine
	case err != nil:
		fmt.Fprintln(stderr, "idleworker: -help shows the flags and every variable")
		return statusUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "idleworker: want no argument, not %q: the environment configures it, -help shows how\n", flags.Arg(0))
		return statusUsage
	}
	if *showVersion {
		fmt.Fprintln(stdout, "idleworker", build.Version(version))
		return statusFine
	}
	if *health { // what is wrong with a file is no trouble of the worker that runs
		addr, err := config.LoadHTTPAddr()
		if err != nil {
			fmt.Fprintln(stderr, err)
			return statusFailed
		}
		return exit(status.Ask(ctx, addr, stdout))
	}
	c, err := config.Load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return statusFailed
	}
	if *check {
		return exit(service.Check(ctx, c, stdout))
	}
	return work(ctx, c, stderr)
}

func exit(fine bool) int {
	if fine {
		return statusFine
	}
	return statusFailed
}

// work is the worker itself.
func work(ctx context.Context, c config.Config, stderr *os.File) int {
	s := &service.Service{Config: c, Name: service.ProcessName(), Version: build.Version(version), Log: service.NewLog(c, stderr)}
	scheme := "http://"
	if c.HTTPCert != "" {
		scheme = "https://"
	}
	s.Page = func(address string) { s.Log.Info("status page", "url", scheme+address+"/") }
	s.Log.Info("idleworker starts", "version", s.Version, "name", s.Name, "prefix", c.Prefix, "gateway", c.GatewayURL)
	if err := s.Run(ctx); err != nil {
		s.Log.Error("idleworker cannot go on", "err", err)
		return statusFailed
	}
	s.Log.Info("idleworker has stopped")
	return statusFine
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintln(w, "idleworker applies idle-policy changes from NATS to the CC-Gateway. Its environment configures it:")
	fmt.Fprintln(w)
	_ = config.WriteHelp(w) // nobody is left to tell
	fmt.Fprintln(w, "\nFlags:")
	flags.SetOutput(w)
	flags.PrintDefaults()
}
