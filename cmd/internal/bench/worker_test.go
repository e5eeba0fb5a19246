package bench

import (
	"context"
	"fmt"
	"os"

	"idlepolicy/cmd/internal/service"
	"idlepolicy/config"
)

// playWorker is the worker itself, as its environment configures it.
func playWorker() (obeying, error) {
	c, err := config.Load()
	if err != nil {
		return obeying{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	page := make(chan string, 1)
	s := &service.Service{
		Config: c, Name: service.ProcessName(), Log: service.NewLog(c, os.Stderr), Page: func(address string) { page <- address },
	}
	go func() {
		defer close(over)
		if err := s.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
	}()
	return obeying{ready: <-page, end: func() { cancel(); <-over }}, nil
}
