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
	"idlepolicy/cmd/internal/tap"
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
	flags := flag.NewFlagSet("idletap", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "prove the configuration and the connections, change nothing, exit 0 or 1")
	showVersion := flags.Bool("version", false, "print the version")
	health := flags.Bool("health", false, "ask the tap that runs with this environment whether it is ready, exit 0 or 1")
	flags.Usage = func() {} // 30 lines would hide the one about what is wrong
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout, flags)
		return statusFine
	case err != nil:
		fmt.Fprintln(stderr, "idletap: -help shows the flags and every variable")
		return statusUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "idletap: want no argument, not %q: the environment configures it, -help shows how\n", flags.Arg(0))
		return statusUsage
	}
	if *showVersion {
		fmt.Fprintln(stdout, "idletap", build.Version(version))
		return statusFine
	}
	c, err := config.LoadTap()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return statusFailed
	}
	switch {
	case *check:
		return exit(tap.Check(ctx, c, stdout))
	case *health:
		return exit(status.Ask(ctx, c.HTTPAddr, stdout))
	}
	return pass(ctx, c, stderr)
}

func exit(fine bool) int {
	if fine {
		return statusFine
	}
	return statusFailed
}

// pass is the tap itself.
func pass(ctx context.Context, c config.Tap, stderr *os.File) int {
	log := service.NewLog(config.Config{LogLevel: c.LogLevel, LogFormat: c.LogFormat}, stderr)
	s := &tap.Service{Config: c, Name: service.ProcessName(), Version: build.Version(version), Log: log}
	log.Info("idletap starts", "version", s.Version, "name", s.Name, "prefix", c.Prefix, "gateway", c.GatewayURL)
	s.Listens = func(desktops, page string) { log.Info("desktops can connect", "address", desktops, "status", page) }
	if err := s.Run(ctx); err != nil {
		log.Error("idletap cannot go on", "err", err)
		return statusFailed
	}
	log.Info("idletap has stopped")
	return statusFine
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintln(w, "idletap keeps the session registry from the desktops' own traffic, as a reverse proxy before the CC-Gateway.")
	fmt.Fprintln(w, "Its environment configures it:")
	fmt.Fprintln(w)
	_ = config.WriteTapHelp(w) // nobody is left to tell
	fmt.Fprintln(w, "\nFlags:")
	flags.SetOutput(w)
	flags.PrintDefaults()
}
