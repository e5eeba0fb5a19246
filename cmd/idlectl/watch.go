package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

const (
	watchEvery = time.Second
	wipe       = "\x1b[H\x1b[J" // to the first place of the screen, and nothing below it
)

// watchStatus shows the status every second. It continues if nobody answers, because that is when people watch.
func (a *app) watchStatus(ctx context.Context, d *desk.Desk) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		screen, err := a.screen(ctx, d)
		if ctx.Err() != nil {
			return nil
		}
		if terminal.IsLively(a.stdout) {
			fmt.Fprint(a.stdout, wipe)
		}
		if _, gone := a.stdout.Write(screen); gone != nil {
			return gone
		}
		if err != nil && !a.json { // JSON has it as trouble
			fmt.Fprintln(a.stderr, "idlectl: "+terminal.CleanLines(err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// screen is one status, drawn at once so that it does not flicker; with --json it is one line.
func (a *app) screen(ctx context.Context, d *desk.Desk) ([]byte, error) {
	var drawn bytes.Buffer
	aside := *a
	aside.stdout = &drawn
	err := aside.showStatus(ctx, d)
	if a.json && drawn.Len() > 0 {
		var line bytes.Buffer
		if wrong := json.Compact(&line, drawn.Bytes()); wrong != nil {
			return nil, wrong
		}
		line.WriteByte('\n')
		return line.Bytes(), err
	}
	if !a.json {
		fmt.Fprintln(&drawn, "\n"+terminal.Clock(time.Now()))
	}
	return drawn.Bytes(), err
}
