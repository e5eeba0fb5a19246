// Command idledemo is the whole product in one process: an embedded NATS server, a simulated gateway with agents, and the
// real worker. It publishes a file of changes, shows how they get on, and what became of each.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is stamped in by the build: -ldflags "-X main.version=1.2.3".
var version = ""

func main() {
	os.Exit(runUntilSignal(time.Second))
}

// runUntilSignal stops cleanly at the first signal. A later one ends the program at once. One that comes within sameWish of the first
// is the same wish: timeout(1) and some shells send it to the program and to its process group.
func runUntilSignal(sameWish time.Duration) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(sameWish, stop) })
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
