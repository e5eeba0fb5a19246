// Command idlectl is the operator's tool: it publishes changes, shows what became of them, and asks the worker.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"idlepolicy/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], config.LoadClient, os.Stdin, os.Stdout, os.Stderr))
}
