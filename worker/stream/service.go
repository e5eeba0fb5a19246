package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// Service answers operators over NATS, as a micro service. Any replica takes a request and asks the owner for the answer. Pause and
// rate are stored in the control bucket, which every replica follows, so that they survive a takeover.
type Service struct {
	Conn    *nats.Conn
	Names   messages.Names
	Owner   *Owner
	Worker  *worker.Worker
	Version string // semantic version of the program
	Log     *slog.Logger
}

// Status is the answer to a request for the status of the site.
type Status struct {
	Replicas []view.Replica `json:"replicas"`
	View     *view.View     `json:"view,omitempty"` // nil: nobody is the owner
	Paused   bool           `json:"paused"`
	Rate     *float64       `json:"rate"` // nil: as configured
}

// request is what operators send. By says who asks, and is logged with the change. Only Configured takes a rate back: a request
// without a rate is a mistake.
type request struct {
	By         string   `json:"by"`
	Rate       *float64 `json:"rate"`
	Configured bool     `json:"configured"`
	AgentID    string   `json:"agent_id"`
}

const (
	gatherQuiet = 150 * time.Millisecond // after which no further replica is waited for
	answerIn    = 2 * time.Second
	// More than a few requests at once come from a script gone wild.
	answersAtOnce = 16
)

// Run serves until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	svc, err := micro.AddService(s.Conn, micro.Config{
		Name: strings.ReplaceAll(s.Names.Prefix, ".", "-"), Version: cmp.Or(s.Version, "0.0.0"),
		Description: "idle policy of the agents of one site: status, pause, resume, rate, explain",
		ErrorHandler: func(_ micro.Service, e *micro.NATSError) {
			s.Log.Warn("control service", "subject", e.Subject, "err", e.Description)
		},
	})
	if err != nil {
		return fmt.Errorf("start the control service: %w", plain(err))
	}
	ctx, over := context.WithCancel(ctx)
	places := make(chan struct{}, answersAtOnce)
	defer func() {
		for range answersAtOnce {
			places <- struct{}{} // all are free again: nobody is being answered any more
		}
	}()
	defer over()
	defer func() { _ = svc.Stop() }() // the connection may be gone already
	for verb, answer := range map[string]func(context.Context, request) (any, error){
		"status": s.status, "explain": s.explain,
		"pause":  func(ctx context.Context, r request) (any, error) { return s.set(ctx, r, "pause") },
		"resume": func(ctx context.Context, r request) (any, error) { return s.set(ctx, r, "resume") },
		"rate":   func(ctx context.Context, r request) (any, error) { return s.set(ctx, r, "rate") },
	} {
		handle := micro.HandlerFunc(func(req micro.Request) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-places }()
				s.answer(ctx, req, answer)
			}()
		})
		if err := svc.AddEndpoint(verb, handle, micro.WithEndpointSubject(s.subject(verb))); err != nil {
			return fmt.Errorf("start the control service: %w", plain(err))
		}
	}
	if err := s.answerReplicas(ctx); err != nil {
		return err
	}
	s.followControls(ctx)
	return nil
}

func (s *Service) subject(verb string) string { return s.Names.Prefix + ".ctl." + verb }

func (s *Service) answer(ctx context.Context, req micro.Request, answer func(context.Context, request) (any, error)) {
	ctx, cancel := context.WithTimeout(ctx, answerIn+gatherQuiet)
	defer cancel()
	var r request
	if len(req.Data()) > 0 {
		if err := json.Unmarshal(req.Data(), &r); err != nil {
			_ = req.Error("400", "the request is not JSON: "+err.Error(), nil)
			return
		}
	}
	result, err := answer(ctx, r)
	if err != nil {
		code := "500"
		if errors.Is(err, errRequest) {
			code = "400"
		}
		_ = req.Error(code, err.Error(), nil)
		return
	}
	_ = req.RespondJSON(result) // whoever asked may be gone
}

var errRequest = errors.New("unusable request")

// What replicas ask each other: all answer "replica", only the owner answers "view" and "agent".

func (s *Service) answerReplicas(ctx context.Context) error {
	for verb, answer := range map[string]func(m *nats.Msg) any{
		"replica": func(*nats.Msg) any { return s.replica() },
		"view": func(*nats.Msg) any {
			if v, ok := s.Worker.View(ctx); ok {
				return v
			}
			return nil
		},
		"agent": func(m *nats.Msg) any {
			if v, ok := s.Worker.Agent(ctx, string(m.Data)); ok {
				return v
			}
			return nil
		},
		"covered": func(m *nats.Msg) any {
			var q view.CoverageQuery
			if json.Unmarshal(m.Data, &q) != nil {
				return nil
			}
			if page, ok := s.Worker.Covered(ctx, q); ok {
				return page
			}
			return nil
		},
	} {
		sub, err := s.Conn.Subscribe(s.subject("among."+verb), func(m *nats.Msg) {
			if a := answer(m); a != nil {
				if text, err := json.Marshal(a); err == nil {
					_ = m.Respond(text) // whoever asked may be gone
				}
			}
		})
		if err != nil {
			return fmt.Errorf("answer the other replicas: %w", plain(err))
		}
		context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // the connection may be gone already
	}
	return nil
}

func (s *Service) replica() view.Replica {
	st := s.Owner.State()
	return view.Replica{Name: s.Owner.Name, Role: st.Role, Since: st.Since, Owner: st.Owner, Trouble: st.Trouble}
}

func (s *Service) status(ctx context.Context, _ request) (any, error) {
	st := Status{Replicas: s.Replicas(ctx)}
	var view view.View
	if err := s.askOwner(ctx, "view", nil, &view); err == nil {
		st.View = &view
	}
	if js, err := newJetStream(s.Conn); err == nil {
		c, _, _ := readControls(ctx, js, s.Names.ControlBucket()) // shown as not set if it cannot be read
		st.Paused, st.Rate = c.Paused, c.Rate
	}
	return st, nil
}

func (s *Service) explain(ctx context.Context, r request) (any, error) {
	if !messages.ValidAgentID(r.AgentID) {
		return nil, fmt.Errorf("%w: agent_id: want 101 to 999999", errRequest)
	}
	var v view.AgentView
	if err := s.askOwner(ctx, "agent", []byte(r.AgentID), &v); err != nil {
		return nil, err
	}
	return v, nil
}

func (s *Service) askOwner(ctx context.Context, verb string, data []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	m, err := s.Conn.RequestWithContext(ctx, s.subject("among."+verb), data)
	if err != nil {
		return errors.New("no replica of the worker is the owner at the moment")
	}
	return json.Unmarshal(m.Data, into)
}

// View asks the owner for its view, whichever process that is; ok is false if none answers.
func (s *Service) View(ctx context.Context) (v view.View, ok bool) {
	err := s.askOwner(ctx, "view", nil, &v)
	return v, err == nil
}

// Agent asks the owner about one agent; ok is false if none answers.
func (s *Service) Agent(ctx context.Context, id string) (v view.AgentView, ok bool) {
	err := s.askOwner(ctx, "agent", []byte(id), &v)
	return v, err == nil
}

// Covered asks the owner for agents with a desired policy; ok is false if none answers.
func (s *Service) Covered(ctx context.Context, q view.CoverageQuery) (page view.CoveragePage, ok bool) {
	text, err := json.Marshal(q)
	if err == nil {
		err = s.askOwner(ctx, "covered", text, &page)
	}
	return page, err == nil
}

// Replicas asks all replicas who they are, and returns when no more answers come.
func (s *Service) Replicas(ctx context.Context) []view.Replica {
	inbox := s.Conn.NewInbox()
	sub, err := s.Conn.SubscribeSync(inbox)
	if err != nil {
		return []view.Replica{s.replica()}
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.Conn.PublishRequest(s.subject("among.replica"), inbox, nil); err != nil {
		return []view.Replica{s.replica()}
	}
	var all []view.Replica
	for ctx.Err() == nil {
		m, err := sub.NextMsg(gatherQuiet)
		if err != nil {
			break
		}
		var r view.Replica
		if json.Unmarshal(m.Data, &r) == nil {
			all = append(all, r)
		}
	}
	return all
}
