// Command idletap keeps the session registry from the desktops' own traffic: desktops use it as the gateway's address, and
// it passes everything on unchanged. The environment configures it; -help prints every variable.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A later signal ends the program at once. One that comes right behind the first is the same wish: timeout(1) and some
	// shells send it to the program and to its process group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
