package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

// show is one demonstration.
type show struct {
	*site
	plan           plan
	serve          bool
	stdout, stderr io.Writer
	log            *quiet
	tally          *tally
	before         uint64 // the last result before it began
	began          time.Time
	broke          bool          // the gateway has gone down
	down           chan struct{} // gets one when it does
}

// demonstrate runs the whole product and takes the file through it.
func demonstrate(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) error {
	p, err := readPlan(o.file, stdin, stderr)
	if err != nil {
		return err
	}
	c, err := environment(o.httpAddr())
	if err != nil {
		return err
	}
	held := &quiet{to: stderr}
	log, end, err := openLog(c, o.log, held)
	if err != nil {
		return err
	}
	defer end()
	d := &show{plan: p, serve: o.serve, stdout: stdout, stderr: stderr, tally: newTally(), log: held, down: make(chan struct{}, 1)}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if d.site, err = open(ctx, fail, c, o.natsPort, log); err == nil {
		err = d.play(ctx, fail)
		d.close()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx) // the worker may have failed
	}
	held.tell(err)
	return err
}

func (d *show) play(ctx context.Context, fail func(error)) error {
	cast := castOf(d.plan.agents())
	prepare(d.gateway, d.plan.sample)
	desktops := newDesktops(d.gateway, d.tap, len(cast))
	desktops.desk = d.desk
	d.ends = append(d.ends, desktops.end)
	d.introduce(cast)
	if err := desktops.begin(ctx, cast); err != nil {
		return err
	}
	if err := desktops.known(ctx, cast); err != nil {
		return err
	}
	d.meanwhile(ctx, fail, func(ctx context.Context) error { return desktops.goOn(ctx, cast) })
	d.began = time.Now()
	if err := d.publish(ctx); err != nil {
		return err
	}
	if err := d.follow(ctx); err != nil {
		return err
	}
	took := time.Since(d.began)
	if err := d.prove(ctx); err != nil {
		return err
	}
	d.report(took)
	d.next()
	if !d.serve {
		return nil
	}
	d.log.loosen()
	return d.desk.Results(ctx, desk.Query{Live: true, All: true, Outcomes: []messages.Outcome{messages.Waiting}},
		func(e desk.Event) error { return desktops.welcome(ctx, e) })
}

func (d *show) publish(ctx context.Context) (err error) {
	if d.before, err = d.desk.LastSeq(ctx); err != nil {
		return err
	}
	if err := d.plan.Fits(d.desk.MaxPayload()); err != nil {
		return err
	}
	bar := terminal.NewProgress(d.stderr, "published", len(d.plan.Messages))
	defer bar.Finish()
	return d.desk.Publish(ctx, d.plan.Publications(d.plan.prefix), func(st desk.Stored) {
		d.plan.changes(st.Index, st.Seq, d.began, d.tally.expect)
		bar.Add(1)
	})
}

var (
	errAllEnded = errors.New("all changes have ended")
	errStalled  = errors.New("stalled")
)

// follow shows how the policy reaches the agents until every change has ended, or with -serve waits for its instant.
func (d *show) follow(ctx context.Context) error {
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patience := d.patience()
	stalled := time.AfterFunc(patience, func() { stop(errStalled) })
	defer stalled.Stop()
	watching, end := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { d.watch(watching) })
	err := d.desk.Results(following, desk.Query{Live: true, Seq: d.before + 1}, func(e desk.Event) error {
		stalled.Reset(patience)
		if d.tally.add(e) {
			d.breakDown() //nolint:contextcheck // an outage begins at once
		}
		return d.goOn(ctx)
	})
	end()
	watched.Wait()
	switch {
	case errors.Is(err, errAllEnded):
		return nil
	case errors.Is(context.Cause(following), errStalled):
		return fmt.Errorf("%s not ended, and nothing has happened for %v", terminal.Plural(len(d.tally.open), "change"), patience)
	}
	return err
}

// patience is how long nothing may happen: at a low rate that is long.
func (d *show) patience() time.Duration {
	const usual = readyWithin
	if rate := d.config.Rate; rate > 0 {
		return usual + time.Duration(2/rate*float64(time.Second))
	}
	return usual
}

// goOn decides what comes after a result. Changes for a day that nobody waits for are withdrawn, so that they end too.
func (d *show) goOn(ctx context.Context) error {
	switch t := d.tally; {
	case len(t.open) == 0, d.serve && len(t.open) == t.notNow:
		return errAllEnded
	case len(t.open) == t.notNow:
		return d.withdraw(ctx)
	}
	return nil
}

func (d *show) withdraw(ctx context.Context) error {
	var cancels []desk.Publication
	for at, a := range d.tally.open {
		body, err := json.Marshal(map[string]any{"agent_id": a.agent, "id": a.id, "cancel": true})
		if err != nil {
			return err
		}
		cancels = append(cancels, desk.Publication{ID: fmt.Sprintf("withdraw-%d-%d", at.seq, at.index), Body: body, Agents: []string{a.agent}})
		a.at = time.Time{} // once is enough
		d.tally.open[at] = a
	}
	d.tally.withdrawn, d.tally.notNow = len(cancels), 0
	return d.desk.Publish(ctx, slices.Values(cancels), func(desk.Stored) {})
}
