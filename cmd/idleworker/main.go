// Command idleworker is the worker: it takes idle-policy changes from NATS, applies them to the gateway and publishes what
// became of them. The environment configures it; -help prints every variable.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is stamped in by the build: -ldflags "-X main.version=1.2.3".
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
