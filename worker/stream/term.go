package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

var (
	errReconnected = errors.New("the connection to NATS was lost")
	errChanged     = errors.New("somebody changed the consumer of changes")
	errLongStop    = errors.New("the stop took longer than its grace")
)

// unfitError is why this process, but perhaps no other, cannot be the owner.
type unfitError struct{ error }

func (e unfitError) Unwrap() error { return e.error }

// serve runs the worker for one term.
func (o *Owner) serve(ctx context.Context, t taken) error {
	select {
	case <-o.lost: // an older loss: nothing was asked for since the reset
	default:
	}
	o.noteOwner(o.Name)
	term, over := context.WithCancelCause(context.WithoutCancel(ctx))
	from, err := newPuller(o.js, o.Layout.Names)
	if err != nil {
		over(err)
		return err
	}
	box := &inbox{
		from: from, js: o.js, stream: o.Layout.Names.ChangesStream(), pin: o.pin, to: t.term.Inbox,
		batch: t.batch(), maxBytes: o.pullBytes(), met: &o.troubles, pulling: make(chan struct{}),
	}
	journal, err := newJournal(term, o, box)
	if err != nil {
		over(err)
		from.stop()
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { over(box.pull(term, o.Lease)) })
	wg.Go(func() { over(o.keep(term, box, t.consumer)) })
	wg.Go(func() { journal.run(term) })
	wg.Go(func() { o.boundStop(ctx, term, over) })
	sharing, enough := context.WithCancel(term)
	var shared sync.WaitGroup
	shared.Go(func() { t.place.keep(sharing) })
	defer func() {
		over(nil)
		enough()
		shared.Wait()
		wg.Wait()
		from.stop()
		o.troubles.forget()
	}()
	ledgers, err := o.load(ctx, term)
	if err != nil {
		return err
	}
	if ledgers != nil {
		if err := o.setIncarnation(term, t.term, t.created, ledgers); err != nil {
			return cmp.Or(context.Cause(term), err)
		}
		t.term.Journal, t.term.Ledgers, t.term.Stop = journal, ledgers, ctx.Done()
		o.setRole(view.RoleOwner, o.Name)
		o.troubles.report(takingPart, nil)
		o.Log.Info("work taken over", "agents", len(ledgers), "unfinished_messages", t.term.Unfinished,
			"hold", max(0, time.Until(t.term.HoldUntil)).Round(time.Millisecond))
		o.Worker.Run(term, t.term)
	}
	if err := context.Cause(term); err != nil {
		return err
	}
	enough()
	shared.Wait()         // the record is ours alone from here on
	o.release(t, journal) //nolint:contextcheck // ctx has ended by now: that is why the place is left
	return nil
}

// load reads the ledgers. After a stop it returns nil, and the worker does not start.
func (o *Owner) load(ctx, term context.Context) (map[string]*ledger.Ledger, error) {
	loading, enough := context.WithCancel(term)
	defer enough()
	defer context.AfterFunc(ctx, enough)()
	ledgers, err := loadLedgers(loading, o.js, o.Layout.Names)
	switch {
	case ctx.Err() != nil:
		return nil, nil
	case err == nil:
		return ledgers, nil
	case context.Cause(term) != nil:
		return nil, context.Cause(term)
	default:
		return nil, err
	}
}

// boundStop ends a clean stop that takes too long.
func (o *Owner) boundStop(ctx, term context.Context, over context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-term.Done():
		return
	}
	limit := o.Finished
	if limit == 0 {
		limit = 20 * time.Second
	}
	pauseFor(term, limit)
	over(errLongStop)
}

// pullBytes bounds what one pull may bring; a single message must always fit.
func (o *Owner) pullBytes() int { return max(1<<20, int(o.Conn.MaxPayload())) + 128<<10 }

// keep asks the server twice a second whether this process is still the owner, and renews the lease.
func (o *Owner) keep(ctx context.Context, box *inbox, set jetstream.ConsumerConfig) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	begun := box.pulling // the first look comes with the first pull
	caughtUp := false
	for {
		select {
		case <-begun:
			begun = nil
		case <-tick.C:
			if begun != nil {
				continue
			}
		case <-o.lost:
			return errReconnected
		case <-ctx.Done():
			return nil
		}
		asked, pulled := time.Now(), box.pulled.Load()
		info, err := o.info(ctx, o.consumer, 2*lookEvery)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errGone):
			o.Lease.drop()
			return err
		case err == nil && pinned(info) != o.pin:
			o.Lease.drop()
			return errDeposed
		case err == nil && len(mended(info.Config, set)) > 0:
			return errChanged
		case err == nil:
			o.Lease.confirm(asked, pulled, info.Config.PinnedTTL)
			if !caughtUp && info.NumPending == 0 && info.Delivered.Consumer <= box.seen.Load() {
				caughtUp = o.noneBehind(ctx, box)
			}
		}
		o.troubles.report(confirming, err)
	}
}

// noneBehind tells the worker that it has caught up if the stream has nothing after the last delivered message. After a reset by
// another process the consumer's counts cannot say that.
func (o *Owner) noneBehind(ctx context.Context, box *inbox) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*lookEvery)
	defer cancel()
	_, err := getMsg(ctx, o.js, o.Layout.Names.ChangesStream(), getRequest{Seq: box.handed.Load() + 1, NextFor: ">"})
	none := errors.Is(err, jetstream.ErrMsgNotFound)
	if none {
		box.to.CaughtUp()
	}
	return none
}

// confirming names the trouble that is reported while the owner has no lease.
const confirming = "ownership cannot be confirmed"

// release unpins for a standby, and records that no call of this owner can take effect any more. If another process has taken over
// meanwhile, the record is its own, and writing it fails.
func (o *Owner) release(t taken, j *journal) {
	ctx, cancel := context.WithTimeout(context.Background(), requestFor)
	defer cancel()
	o.Lease.drop()
	err := j.flush(ctx)
	if err == nil {
		err = t.place.write(ctx, func(mine *owners) {
			mine.Released = !time.Now().Before(t.term.HoldUntil) // until then something of our predecessor may still land
		})
	}
	if err == nil {
		err = o.unpin(ctx)
	}
	if err != nil {
		o.Log.Warn("place not handed over, a standby takes it when it runs out", "err", plain(err))
	}
}

// giveBack unpins a process that did not become the owner, unless the server has done so already.
func (o *Owner) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), requestFor)
	defer cancel()
	info, err := o.info(ctx, o.consumer, requestFor)
	if err == nil && pinned(info) == o.pin {
		err = o.unpin(ctx)
	}
	if err != nil {
		o.Log.Debug("place not given back", "err", plain(err))
	}
}

func (o *Owner) unpin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	s, err := o.js.Stream(ctx, o.Layout.Names.ChangesStream())
	if err != nil {
		return fmt.Errorf("look at the stream of changes: %w", plain(err))
	}
	return s.UnpinConsumer(ctx, consumerName, priorityGroup)
}
