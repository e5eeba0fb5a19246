package stream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A clean stop takes no longer than it may. Below 0 it waits for nothing, which is not the default.
func TestStopIsBounded(t *testing.T) {
	for finished, want := range map[time.Duration]time.Duration{-1: 0, 0: 20 * time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			term, over := context.WithCancelCause(context.WithoutCancel(ctx))
			began := time.Now()
			stop()
			(&Owner{Finished: finished}).boundStop(ctx, term, over)
			if took := time.Since(began); took != want || !errors.Is(context.Cause(term), errLongStop) {
				t.Errorf("Finished %v: the stop is ended after %v, want %v: %v", finished, took, want, context.Cause(term))
			}
		})
	}
}
