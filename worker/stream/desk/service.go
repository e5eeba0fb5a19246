package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/worker/stream"
	"idlepolicy/worker/view"
)

// Status is how a site is: what its owner says or, if no owner answers, what its streams show.
type Status struct {
	At       time.Time      `json:"at"`
	Owner    string         `json:"owner"`   // empty: no replica says that it is
	Trouble  string         `json:"trouble"` // why there is no view; empty: there is one
	Replicas []view.Replica `json:"replicas"`
	View     *view.View     `json:"view"`    // nil: no owner answers
	Streams  *Overview      `json:"streams"` // nil: an owner answers
}

// Valve has the operators' settings.
type Valve struct {
	Paused bool     `json:"paused"`
	Rate   *float64 `json:"rate"` // calls per second that an operator set; nil: the configured rate
}

// question is a request to the worker. One replica replies.
type question struct {
	By         string   `json:"by,omitempty"`
	Rate       *float64 `json:"rate,omitempty"`
	Configured bool     `json:"configured,omitempty"`
	AgentID    string   `json:"agent_id,omitempty"`
}

// Headers with which a NATS service says that it failed.
const (
	serviceError = "Nats-Service-Error"
	serviceCode  = "Nats-Service-Error-Code"
)

// ErrNoOwner is returned if replicas answer but none of them is the owner.
var ErrNoOwner = errors.New("no replica is the owner: changes wait until one takes over")

// Status asks the worker for its status. If no owner answers, it returns what the streams show, and ErrNoWorker, ErrNoOwner or a
// *Declined with it.
func (d *Desk) Status(ctx context.Context) (Status, error) {
	s := Status{Replicas: []view.Replica{}}
	err := d.ask(ctx, "status", question{}, &s)
	s.At = time.Now()
	for _, r := range s.Replicas {
		if r.Role == view.RoleOwner {
			s.Owner = r.Name
		}
	}
	var declined *Declined
	switch {
	case err == nil && s.View != nil:
		return s, nil
	case err == nil && s.Owner != "":
		err = &Declined{Why: s.Owner + " is the owner, but does not answer"}
	case err == nil:
		err = ErrNoOwner
	case !errors.Is(err, ErrNoWorker) && !errors.As(err, &declined):
		return s, err
	}
	s.Trouble = err.Error()
	o, failed := d.Overview(ctx)
	if failed != nil {
		return s, failed
	}
	s.Streams = &o
	return s, err
}

// Explain asks the worker about one agent. Like the others below, it returns ErrNoWorker if nobody answers and a *Declined if the
// worker refuses.
func (d *Desk) Explain(ctx context.Context, agent string) (view.AgentView, error) {
	var v view.AgentView
	return v, d.ask(ctx, "explain", question{AgentID: agent}, &v)
}

// Pause stops all calls until Resume.
func (d *Desk) Pause(ctx context.Context) (Valve, error) {
	var v Valve
	return v, d.ask(ctx, "pause", question{}, &v)
}

// Resume ends a pause.
func (d *Desk) Resume(ctx context.Context) (Valve, error) {
	var v Valve
	return v, d.ask(ctx, "resume", question{}, &v)
}

// Rate sets the calls per second; 0: no limit. It survives restarts, and holds until ConfiguredRate.
func (d *Desk) Rate(ctx context.Context, perSecond float64) (Valve, error) {
	var v Valve
	return v, d.ask(ctx, "rate", question{Rate: &perSecond}, &v)
}

// ConfiguredRate restores the rate of the worker's configuration.
func (d *Desk) ConfiguredRate(ctx context.Context) (Valve, error) {
	var v Valve
	return v, d.ask(ctx, "rate", question{Configured: true}, &v)
}

func (d *Desk) ask(ctx context.Context, verb string, q question, reply any) error {
	q.By = d.By
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	m, err := d.nc.RequestWithContext(asking, d.names.Prefix+".ctl."+verb, body)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, nats.ErrNoResponders):
		return d.noWorker(ctx)
	case errors.Is(err, context.DeadlineExceeded) && d.nc.IsConnected():
		if denied := d.denied(); denied != nil {
			return fmt.Errorf("%w (%w; %s)", ErrNoWorker, plain(denied), d.whoMay(denied))
		}
		return ErrNoWorker
	case err != nil:
		return d.trouble("ask the worker", "worker", err)
	case m.Header.Get(serviceError) != "":
		return &Declined{m.Header.Get(serviceCode), m.Header.Get(serviceError)}
	}
	if err := json.Unmarshal(m.Data, reply); err != nil {
		return fmt.Errorf("read the worker's answer to %s: %w", verb, err)
	}
	return nil
}

// noWorker returns ErrNoWorker, or a reason if it is known: without JetStream no worker can run.
func (d *Desk) noWorker(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, time.Second) // a user who may not ask gets no answer
	defer cancel()
	_, err := d.js.AccountInfo(looking)
	if lack := stream.ExplainNoJetStream(d.nc, err); lack != nil {
		return &Unreachable{lack.Error()}
	}
	return ErrNoWorker
}
