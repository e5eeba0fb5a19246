package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"idlepolicy/worker"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/view"
)

// taken is a term that this process has taken over.
type taken struct {
	term     *worker.Term
	created  int64 // creation of the stream of changes as the server has it, in Unix nanoseconds
	consumer jetstream.ConsumerConfig
	place    *place
}

// waitForPin waits until the server pins this process, and returns the consumer as of then. A takeover takes the pin first, then
// resets the consumer so that older messages come before newer ones, then reads what the last owner left behind.
//
// It is pinned as soon as a message answers its own request, because the server sends messages to no other process. It reads the
// pin from the consumer's information, not from the header of that message: a publisher may have written a header with the same
// name in front of the server's, or a block without an end that swallows it. If the message was late, another process may have the
// pin by then, which begin finds out.
func (o *Owner) waitForPin(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	for picked := false; ctx.Err() == nil; {
		c, err := o.bind(ctx)
		if err != nil {
			return nil, err
		}
		info, err := o.info(ctx, c, requestFor)
		if err != nil {
			return nil, err
		}
		holder := pinned(info)
		if holder != "" && (picked || holder == o.pin) {
			o.pin = holder
			return info, nil
		}
		if holder == "" {
			if err := o.wake(ctx, info); err != nil {
				return nil, err
			}
		}
		o.stand(ctx, holder)
		if picked, err = o.askForPin(ctx); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// bind looks up the consumer, and creates what is missing on the server.
func (o *Owner) bind(ctx context.Context) (jetstream.Consumer, error) {
	if o.consumer != nil {
		return o.consumer, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestFor)
	defer cancel()
	differs, err := o.Layout.Ensure(ctx, o.js)
	if err != nil {
		return nil, err
	}
	c, err := o.Layout.Consumer(ctx, o.js)
	if err != nil {
		return nil, err
	}
	o.reportDiffers(differs)
	o.consumer = c
	return c, nil
}

func (o *Owner) reportDiffers(differs []string) {
	for _, d := range differs {
		o.Log.Warn("the server's set-up differs", "what", d)
	}
}

func (o *Owner) info(ctx context.Context, c jetstream.Consumer, within time.Duration) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	info, err := c.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("look at the consumer of changes: %w", plain(err))
	}
	return info, nil
}

// errGone is returned if the stream or the consumer of changes was deleted.
var errGone = errors.New("the stream or the consumer of changes is gone: both are created again")

func pinned(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == priorityGroup {
			return g.PinnedClientID
		}
	}
	return ""
}

// wake makes sure that there is something to deliver, because the server pins a client only with a delivery. A reset delivers the
// messages of the last owner again. If there are none, wake publishes a cancel that cancels nothing. It also undoes settings that
// were made by hand and prevent deliveries, except the takeover time, which only the owner sets.
func (o *Owner) wake(ctx context.Context, info *jetstream.ConsumerInfo) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	free := o.Layout
	free.Takeover = info.Config.PinnedTTL
	_, differs, err := free.mend(ctx, o.js, info.Config)
	o.reportDiffers(differs)
	if err != nil {
		return err
	}
	switch {
	case info.NumPending > 0:
	case info.NumAckPending > 0:
		if _, err := o.js.ResetConsumer(ctx, info.Stream, info.Name); err != nil {
			return fmt.Errorf("reset the consumer: %w", plain(err))
		}
	default:
		knock := fmt.Sprintf(`{"agent_id":"101","cancel":true,"id":"%s"}`, nuid.Next())
		if _, err := o.js.Publish(ctx, o.Layout.Names.Changes(), []byte(knock)); err != nil {
			return fmt.Errorf("wake the consumer: %w", plain(err))
		}
	}
	return nil
}

// stand shows this process as a standby, and which process is the owner: the one whose record names the current pin. The record of
// an owner that died names another pin.
func (o *Owner) stand(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	name := ""
	if last, _, err := o.readOwners(ctx); err == nil && holder != "" && last.Pin == holder {
		name = last.Name
	}
	o.setRole(view.RoleStandby, name)
	o.troubles.report(takingPart, nil)
	o.noteOwner(name)
}

const (
	noOwner = "no replica is the owner"
	// ownerlessFor is how long a site may be without an owner before that is reported. A takeover takes less time once the pin is free.
	ownerlessFor = 3 * time.Second
)

// noteOwner reports a site that has had no owner for some time.
func (o *Owner) noteOwner(name string) {
	switch {
	case name != "":
		o.ownerless = time.Time{}
		o.troubles.report(noOwner, nil)
	case o.ownerless.IsZero():
		o.ownerless = time.Now()
	case time.Since(o.ownerless) > ownerlessFor:
		o.troubles.report(noOwner, errors.New("since "+o.ownerless.UTC().Format("15:04:05 UTC")))
	}
}

// askForPin requests one message. If one comes, this process is pinned. The message comes again after the reset.
func (o *Owner) askForPin(ctx context.Context) (picked bool, err error) {
	o.pin = ""
	from, err := newPuller(o.js, o.Layout.Names)
	if err != nil {
		return false, err
	}
	defer from.stop()
	if err := from.ask(pullRequest{Expires: lookEvery, Batch: 1}); err != nil {
		return false, err
	}
	late := time.NewTimer(2 * lookEvery)
	defer late.Stop()
	for {
		select {
		case m := <-from.replies:
			if isDelivery(m) {
				return true, nil
			}
			switch err := from.onStatus(m); {
			case errors.Is(err, errPullOver), errors.Is(err, errDeposed), errors.Is(err, errMoved):
				return false, nil
			case err != nil:
				return false, err
			}
		case <-late.C:
			return false, nil
		case <-ctx.Done():
			return false, nil
		}
	}
}

// errClaimed is returned if another process has recorded the pin as its own first.
var errClaimed = errors.New("another replica is the owner")

// ledgerFormat is the number of the ledger format that this version writes. A worker that does not know the number of the last
// owner leaves the site to others, because without ledgers it would end changes twice.
const ledgerFormat = 1

// begin takes over what the last owner left behind. From here on messages come from the first unfinished one. Wrong settings of the
// consumer are undone before the reset, because a filter passes messages over for good.
func (o *Owner) begin(ctx context.Context, has *jetstream.ConsumerInfo) (taken, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestFor)
	defer cancel()
	began := time.Now()
	names := o.Layout.Names
	last, rev, err := o.readOwners(ctx)
	if err != nil {
		return taken{}, err
	}
	switch {
	case last.Pin == o.pin && last.Process != o.process:
		o.pin = ""
		return taken{}, errClaimed
	case last.Format > ledgerFormat:
		return taken{}, unfitError{fmt.Errorf("%s is of a newer version, whose results this one cannot read: update this worker", last.Name)}
	}
	is, differs, err := o.Layout.mend(ctx, o.js, has.Config)
	o.reportDiffers(differs)
	if err != nil {
		return taken{}, err
	}
	o.reportBatch(is.MaxRequestBatch)
	if _, err := o.js.ResetConsumer(ctx, names.ChangesStream(), consumerName); err != nil {
		return taken{}, fmt.Errorf("reset the consumer: %w", plain(err))
	}
	s, err := o.js.Stream(ctx, names.ChangesStream())
	if err != nil {
		return taken{}, fmt.Errorf("look at the stream of changes: %w", plain(err))
	}
	if last.Name == "" {
		if last, err = o.withoutRecord(ctx, has); err != nil {
			return taken{}, err
		}
	}
	if err := o.readControls(ctx); err != nil {
		return taken{}, err
	}
	mine := owners{
		Name: o.Name, Pin: o.pin, Process: o.process, Format: ledgerFormat, Since: began.UTC(), Gateway: last.Gateway,
	}
	hold := last.Name != "" && !last.Released
	if hold {
		mine.HeldUntil = began.Add(o.Hold).UTC()
	}
	if rev, err = o.writeOwners(ctx, mine, rev); err != nil {
		return taken{}, err
	}
	info := s.CachedInfo()
	term := &worker.Term{LastSeq: info.State.LastSeq, Unfinished: info.State.Msgs, Inbox: worker.NewInbox()}
	if hold {
		term.HoldUntil = began.Add(o.Hold)
		term.HoldAll = began.Before(last.HeldUntil.Add(o.Hold)) // with room for clocks that differ
	}
	own := &place{owner: o, mine: mine, rev: rev, news: make(chan gate.Snapshot, 1)}
	term.Gateway, term.Share = last.Gateway, own.share
	return taken{term, info.Created.UnixNano(), is, own}, nil
}

// batch returns how many messages one pull asks for: no more than the server or the account allows.
func (t *taken) batch() int {
	if most := t.consumer.MaxRequestBatch; most > 0 {
		return min(pullMany, most)
	}
	return pullMany
}

// reportBatch logs once that the server allows less than a whole pull.
func (o *Owner) reportBatch(most int) {
	if most > 0 && most < pullMany && o.allowed.Swap(int64(most)) != int64(most) {
		o.Log.Warn("the server limits how many messages a pull may ask for (max_request_batch): more requests than usual", "limit", most, "usual", pullMany)
	}
}
