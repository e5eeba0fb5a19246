package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// Owner makes this process the owner of the site whenever the server pins it, and runs the worker for as long as that lasts. All
// replicas of the worker do the same; those that are not pinned stand by.
type Owner struct {
	Conn     *nats.Conn
	Layout   Layout
	Lease    *Lease
	Worker   *worker.Worker
	Name     string        // of this process, as other replicas show it
	Hold     time.Duration // one gateway time-out: how long the last owner's calls may still land
	Log      *slog.Logger
	Finished time.Duration // how long a clean stop may take; 0: 20 s; below 0: it waits for no call in flight

	process   string       // names this Owner among all processes there ever were
	allowed   atomic.Int64 // messages of a pull that the server allows, as reported last
	js        jetstream.JetStream
	consumer  jetstream.Consumer                      // nil: not found yet
	pin       string                                  // the server's name for our place
	ownerless time.Time                               // since when a standby has seen no owner; zero: there is one
	lost      chan struct{}                           // holds one token once the connection was lost and found again
	cut       atomic.Pointer[context.CancelCauseFunc] // ends what waits for answers on a connection that is lost
	troubles  troubles

	mu    sync.Mutex // guards state
	state OwnerState

	obeying sync.Mutex // guards what follows
	obeyed  revision   // of the controls that the worker keeps to
}

// OwnerState is the role of this process.
type OwnerState struct {
	Role    string // starting, owner, standby
	Since   time.Time
	Owner   string // name of the owner; empty: there is none, or none is known
	Trouble string // what keeps this process from playing its part, or from playing it well; empty: nothing
}

const (
	lookEvery  = 500 * time.Millisecond
	requestFor = 3 * time.Second
)

// NewLease returns the lease for a Layout; the gateway's connections and the Owner share it.
func NewLease(l Layout) *Lease { return newLease(l.Takeover) }

// State returns the role of this process. It may be called from any goroutine.
func (o *Owner) State() OwnerState {
	o.mu.Lock()
	s := o.state
	o.mu.Unlock()
	s.Trouble = o.troubles.String()
	return s
}

func (o *Owner) setRole(role, owner string) {
	o.mu.Lock()
	was := o.state.Role
	if was != role {
		o.state.Role, o.state.Since = role, time.Now()
	}
	o.state.Owner = owner
	o.mu.Unlock()
	if was != role && was != "" {
		o.Log.Info("ownership", "role", role, "was", was, "owner", owner)
	}
}

// takingPart names the trouble that is reported while this process can neither own nor stand by.
const takingPart = "cannot take part"

// Run stands by and owns in turns until ctx ends, which begins a clean stop: it reads nothing new, finishes the calls under way, stores
// their endings, unpins at once for a standby, and returns nil. It never returns because of trouble with NATS: it keeps trying.
func (o *Owner) Run(ctx context.Context) error {
	js, err := newJetStream(o.Conn)
	if err != nil {
		return err
	}
	o.js, o.lost = js, make(chan struct{}, 1)
	o.troubles.logTo(o.Log)
	o.process = nuid.Next()
	o.Conn.SetReconnectHandler(o.onReconnect(o.Conn.ReconnectHandler()))
	o.Conn.SetDisconnectErrHandler(o.onDisconnect(o.Conn.DisconnectErrHandler()))
	o.Conn.SetErrorHandler(o.onError(o.Conn.ErrorHandler()))
	o.setRole(view.RoleStarting, "")
	for ctx.Err() == nil {
		t, err := o.tryAcquire(ctx)
		switch {
		case err == nil:
			err = o.serve(ctx, t)
		case ctx.Err() != nil && o.pin != "" && o.consumer != nil:
			o.giveBack() //nolint:contextcheck // ctx has ended by now: that is why the place is left
		}
		o.Lease.drop()
		if ctx.Err() != nil {
			if errors.Is(err, errLongStop) {
				o.Log.Warn("calls or results were given up", "why", err)
			}
			break
		}
		if o.State().Role == view.RoleOwner {
			o.setRole(view.RoleStandby, "")
		}
		o.recover(ctx, err)
	}
	return nil
}

// recover waits a moment after a term was lost. If this process is unfit to be the owner, it leaves the pin to others for a while:
// another replica may be able to read what this one cannot.
func (o *Owner) recover(ctx context.Context, err error) {
	var unfit unfitError
	if errors.Is(err, errGone) || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		o.consumer = nil // whatever is missing is created again
	}
	switch {
	case err == nil, errors.Is(err, errDeposed), errors.Is(err, errReconnected), errors.Is(err, errMoved), errors.Is(err, errLostCount), errors.Is(err, errGone),
		errors.Is(err, errChanged), errors.Is(err, errClaimed):
		o.Log.Info("ownership is acquired again", "why", err)
	case errors.As(err, &unfit):
		o.troubles.report(takingPart, err)
		if err := o.unpin(ctx); err != nil {
			o.Log.Debug("place not given back", "err", plain(err))
		}
		pauseFor(ctx, o.Layout.Takeover)
	default:
		if why := ExplainNoJetStream(o.Conn, err); why != nil {
			err = why
		}
		o.troubles.report(takingPart, err)
		pauseFor(ctx, lookEvery)
	}
}

// tryAcquire takes over, unless the connection is lost meanwhile, because an answer on it would never come. A stop ends the wait for the
// pin, but not what follows: a process that has begun unpins like any owner and writes its record.
func (o *Owner) tryAcquire(ctx context.Context) (taken, error) {
	taking, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	o.cut.Store(&cut)
	waiting, stop := context.WithCancel(taking)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var t taken
	info, err := o.waitForPin(waiting)
	if err == nil {
		t, err = o.begin(taking, info)
	}
	if cause := context.Cause(taking); cause != nil {
		err = cause
	}
	return t, err
}

// onDisconnect wraps next, records the loss and cancels requests that wait for an answer.
func (o *Owner) onDisconnect(next nats.ConnErrHandler) nats.ConnErrHandler {
	return func(nc *nats.Conn, err error) {
		if next != nil {
			next(nc, err)
		}
		o.troubles.lose(err)
		if cut := o.cut.Load(); cut != nil {
			(*cut)(errCut)
		}
	}
}

// errCut is returned if the connection was lost while a request waited for its answer.
var errCut = errors.New("no connection to NATS")

// onReconnect wraps next and makes this process take over from itself, because it may have missed what the server sent in between.
func (o *Owner) onReconnect(next nats.ConnHandler) nats.ConnHandler {
	return func(nc *nats.Conn) {
		if next != nil {
			next(nc)
		}
		o.troubles.find()
		nudge(o.lost)
	}
}

// onError wraps next and records denied permissions, which appear elsewhere only as time-outs.
func (o *Owner) onError(next nats.ErrHandler) nats.ErrHandler {
	return func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if next != nil {
			next(nc, sub, err)
		}
		if errors.Is(err, nats.ErrPermissionViolation) {
			o.troubles.deny(err)
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
