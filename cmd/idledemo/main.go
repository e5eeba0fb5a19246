// Command idledemo is the whole product in one process: an embedded NATS server, a simulated gateway with agents, and the
// real worker. It publishes a file of changes, shows how they get on, and what became of each.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is stamped in by the build: -ldflags "-X main.version=1.2.3".
var version = "0.0.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
