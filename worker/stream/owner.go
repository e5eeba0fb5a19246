package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"idlepolicy/worker"
)

// Owner has this process become the owner of the site whenever the server picks it, and run the worker for as long as
// that lasts. All replicas of the worker do the same; those that are not picked stand by.
type Owner struct {
	Conn     *nats.Conn
	Layout   Layout
	Lease    *Lease
	Worker   *worker.Worker
	Name     string        // of this process, as other replicas show it
	Hold     time.Duration // one gateway time-out: how long the last owner's calls may still land
	Log      *slog.Logger
	Finished time.Duration // how long a clean stop may take; 0: 20 s

	js       jetstream.JetStream
	consumer jetstream.Consumer
	pin      string // the server's name for our place, as the consumer's handle knows it
	lost     chan struct{}

	mu    sync.Mutex // guards state
	state OwnerState
}

// OwnerState says what part this process plays.
type OwnerState struct {
	Role    string // starting, owner, standby
	Since   time.Time
	Owner   string // name of the owner, as far as it is known
	Trouble string // what keeps this process from being either; empty: nothing
}

// The roles.
const (
	RoleStarting = "starting"
	RoleOwner    = "owner"
	RoleStandby  = "standby"
)

const (
	lookEvery  = 500 * time.Millisecond
	requestFor = 3 * time.Second
)

// NewLease returns the lease for a Layout; the gateway's connections and the Owner share it.
func NewLease(l Layout) *Lease { return newLease(l.Takeover) }

// State returns what part this process plays. It may be called from anywhere.
func (o *Owner) State() OwnerState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

func (o *Owner) setState(role, owner, trouble string) {
	o.mu.Lock()
	was := o.state
	if was.Role != role {
		o.state.Since = time.Now()
	}
	o.state.Role, o.state.Trouble = role, trouble
	if owner != "" {
		o.state.Owner = owner
	}
	o.mu.Unlock()
	if trouble != "" && trouble != was.Trouble {
		o.Log.Warn("cannot take part", "why", trouble)
	}
	if was.Role != role && was.Role != "" {
		o.Log.Info("ownership", "role", role, "was", was.Role, "owner", owner)
	}
}

// Run stands by and owns in turns until ctx ends, which is a clean stop: nothing new is taken, calls under way are
// finished, their endings stored, and the place is left to a standby at once. It returns nil then. It never returns
// because NATS is in trouble: it goes on trying.
func (o *Owner) Run(ctx context.Context) error {
	js, err := newJetStream(o.Conn)
	if err != nil {
		return err
	}
	o.js, o.lost = js, make(chan struct{}, 1)
	o.Conn.SetReconnectHandler(o.chain(o.Conn.Opts.ReconnectedCB))
	o.setState(RoleStarting, "", "")
	for ctx.Err() == nil {
		t, err := o.take(ctx)
		if err == nil {
			err = o.serve(ctx, t)
		}
		o.Lease.drop()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			o.setState(RoleStandby, "", err.Error())
			pauseFor(ctx, lookEvery)
		}
	}
	return nil
}

// chain adds to a handler of the connection: after a reconnect nobody knows what the server sent in between, so this
// process takes over from itself.
func (o *Owner) chain(next nats.ConnHandler) nats.ConnHandler {
	return func(nc *nats.Conn) {
		if next != nil {
			next(nc)
		}
		select {
		case o.lost <- struct{}{}:
		default:
		}
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// taken is what taking over brought.
type taken struct {
	term    *worker.Term
	control owners
}

// take waits for the server to pick this process and takes over: the pin first, then the consumer from its start, so
// that older messages come before newer ones, then what the last owner left behind.
func (o *Owner) take(ctx context.Context) (taken, error) {
	for ctx.Err() == nil {
		c, err := o.bind(ctx)
		if err != nil {
			return taken{}, err
		}
		asked := time.Now()
		info, err := o.info(ctx, c)
		if err != nil {
			return taken{}, fmt.Errorf("look at the consumer: %w", plain(err))
		}
		holder := pinned(info)
		if holder != "" && holder == o.pin {
			o.Lease.confirm(asked)
			return o.begin(ctx)
		}
		if holder == "" {
			if err := o.wake(ctx, info); err != nil {
				return taken{}, err
			}
		}
		o.stand(ctx)
		if err := o.ask(ctx, c); err != nil {
			o.Log.Debug("asked for a message", "err", err)
		}
	}
	return taken{}, ctx.Err()
}

// bind finds the consumer; the handle is kept as long as it serves, because only it knows the pin.
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
	c, more, err := o.Layout.Consumer(ctx, o.js)
	if err != nil {
		return nil, err
	}
	for _, d := range append(differs, more...) {
		o.Log.Warn("the server's set-up differs", "what", d)
	}
	o.consumer = c
	return c, nil
}

func (o *Owner) info(ctx context.Context, c jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	info, err := c.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		o.consumer, o.pin = nil, "" // it was deleted under us: made anew the next time
	}
	return info, err
}

func pinned(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == priorityGroup {
			return g.PinnedClientID
		}
	}
	return ""
}

// wake sees to it that there is something to deliver, because the server picks an owner only with a delivery: what the
// last owner had taken is delivered anew after a reset; where there is nothing at all, a cancel that cancels nothing.
func (o *Owner) wake(ctx context.Context, info *jetstream.ConsumerInfo) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
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

// stand shows this process as a standby, and who it stands by for.
func (o *Owner) stand(ctx context.Context) {
	if o.State().Role == RoleOwner {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	name := ""
	if last, _, err := o.readOwners(ctx); err == nil {
		name = last.Name
	}
	o.setState(RoleStandby, name, "")
}

// ask pulls one message; if one comes, this process has been picked. The message itself comes again after the reset.
func (o *Owner) ask(ctx context.Context, c jetstream.Consumer) error {
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(lookEvery), jetstream.FetchPriorityGroup(priorityGroup))
	if err != nil {
		pauseFor(ctx, lookEvery)
		return err
	}
	for m := range batch.Messages() {
		if pin := m.Headers().Get(pinHeader); pin != "" {
			o.pin = pin
		}
	}
	if errors.Is(batch.Error(), jetstream.ErrPinIDMismatch) {
		o.pin = ""
	}
	return batch.Error()
}

const pinHeader = "Nats-Pin-Id"

// begin takes over what the last owner left behind. From here on messages come from the first unfinished one.
func (o *Owner) begin(ctx context.Context) (taken, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestFor)
	defer cancel()
	began := time.Now()
	names := o.Layout.Names
	if _, err := o.js.ResetConsumer(ctx, names.ChangesStream(), consumerName); err != nil {
		return taken{}, fmt.Errorf("reset the consumer: %w", plain(err))
	}
	s, err := o.js.Stream(ctx, names.ChangesStream())
	if err != nil {
		return taken{}, fmt.Errorf("look at the stream of changes: %w", plain(err))
	}
	last, rev, err := o.readOwners(ctx)
	if err != nil {
		return taken{}, err
	}
	mine := owners{Name: o.Name, Pin: o.pin, Since: began.UTC()}
	if err := o.writeOwners(ctx, mine, rev); err != nil {
		return taken{}, err
	}
	info := s.CachedInfo()
	term := &worker.Term{
		Epoch: info.Created.UnixNano(), LastSeq: info.State.LastSeq, Unfinished: info.State.Msgs,
		Inbox: worker.NewInbox(),
	}
	if last.Name != "" && !last.Released {
		term.HoldUntil = began.Add(o.Hold)
	}
	return taken{term, mine}, nil
}

// serve runs the worker for one term.
func (o *Owner) serve(ctx context.Context, t taken) error {
	term, over := context.WithCancelCause(context.WithoutCancel(ctx))
	defer over(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over(nil)
	select {
	case <-o.lost: // an older loss: this term began after it
	default:
	}
	box := &inbox{consumer: o.consumer, to: t.term.Inbox, maxBytes: o.fetchBytes(), log: o.Log}
	journal, err := newJournal(term, o.Conn, o.Layout, o.js, box, o.Log)
	if err != nil {
		return err
	}
	wg.Go(func() { over(box.pull(term)) })
	wg.Go(func() { over(o.keep(term)) })
	wg.Go(func() { journal.run(term) })
	ledgers, err := loadLedgers(term, o.js, o.Layout.Names)
	if err != nil {
		if cause := context.Cause(term); cause != nil {
			err = cause
		}
		return err
	}
	t.term.Journal, t.term.Ledgers, t.term.Stop = journal, ledgers, ctx.Done()
	o.setState(RoleOwner, o.Name, "")
	o.Log.Info("this process is the owner", "agents", len(ledgers), "unfinished_messages", t.term.Unfinished,
		"hold", max(0, time.Until(t.term.HoldUntil)).Round(time.Millisecond))
	graceful := context.AfterFunc(ctx, func() { o.boundStop(term, over) })
	defer graceful()
	o.Worker.Run(term, t.term)
	if err := context.Cause(term); err != nil {
		o.setState(RoleStandby, "", "")
		return err
	}
	o.release(t, journal)
	return nil
}

// boundStop ends a clean stop that takes too long.
func (o *Owner) boundStop(term context.Context, over context.CancelCauseFunc) {
	limit := o.Finished
	if limit == 0 {
		limit = 20 * time.Second
	}
	pauseFor(term, limit)
	over(errors.New("the stop took longer than its grace"))
}

// fetchBytes bounds what one pull may bring; a single message must always fit.
func (o *Owner) fetchBytes() int { return max(1<<20, int(o.Conn.MaxPayload())) + 128<<10 }

var (
	errDeposed = errors.New("another replica is the owner now")
	errAnew    = errors.New("the connection to NATS was lost")
)

// keep looks twice a second whether this process is still the owner; what it learns is the lease.
func (o *Owner) keep(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-o.lost:
			return errAnew
		case <-ctx.Done():
			return nil
		}
		asked := time.Now()
		info, err := o.info(ctx, o.consumer)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("the stream or consumer of changes is gone: %w", err)
		case err != nil:
			if ctx.Err() == nil {
				o.Log.Warn("ownership could not be confirmed", "err", plain(err))
			}
		case pinned(info) == o.pin:
			o.Lease.confirm(asked)
		default:
			o.Lease.drop()
			return errDeposed
		}
	}
}

// release leaves the place to a standby at once and lets it know that nothing of ours may still land.
func (o *Owner) release(t taken, j *journal) {
	ctx, cancel := context.WithTimeout(context.Background(), requestFor)
	defer cancel()
	o.Lease.drop()
	if err := j.flush(ctx); err != nil {
		o.Log.Warn("acknowledgements may come late", "err", err)
		return
	}
	mine := t.control
	mine.Released = true
	_, rev, err := o.readOwners(ctx)
	if err == nil {
		err = o.writeOwners(ctx, mine, rev)
	}
	if err == nil {
		err = o.unpin(ctx)
	}
	if err != nil {
		o.Log.Warn("place not handed over, a standby takes it when it runs out", "err", plain(err))
	}
}

func (o *Owner) unpin(ctx context.Context) error {
	s, err := o.js.Stream(ctx, o.Layout.Names.ChangesStream())
	if err != nil {
		return err
	}
	return s.UnpinConsumer(ctx, consumerName, priorityGroup)
}
