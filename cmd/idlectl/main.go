// Command idlectl is the operator's tool: it publishes changes, shows what became of them, and asks the worker.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"idlepolicy/config"
)

// version is stamped in by the build: -ldflags "-X main.version=1.2.3".
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A later signal ends the program at once. One that comes right behind the first is the same wish: timeout(1) and some
	// shells send it to the program and to its process group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], config.LoadClient, os.Stdin, os.Stdout, os.Stderr))
}
