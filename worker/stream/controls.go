package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// controls is the record of the operators' settings in the control bucket.
type controls struct {
	Paused bool      `json:"paused"`
	Rate   *float64  `json:"rate"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	// Resumed is when an operator last resumed the calls, which also ends an earlier Retry-After.
	Resumed time.Time `json:"resumed,omitzero"`
}

const (
	controlsKey = "controls"
	// An attempt fails only because another operator was faster. So many in a row come from a script gone wild.
	controlsTries = 20
)

// set changes the operators' settings by compare-and-set, so that two operators cannot overwrite each other's change unnoticed.
func (s *Service) set(ctx context.Context, r request, verb string) (any, error) {
	if verb == "rate" && !r.saysRate() {
		return nil, fmt.Errorf("%w: rate: want calls per second, 0 or more, or configured to be true", errRequest)
	}
	js, err := newJetStream(s.Conn)
	if err != nil {
		return nil, err
	}
	var c controls
	for range controlsTries {
		if c, err = changeControls(ctx, js, s.Names.ControlBucket(), r, verb); !errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write the control bucket: %w", plain(err))
	}
	s.Log.Warn("changed by an operator", "what", verb, "by", r.By, "paused", c.Paused, "rate", rateText(c.Rate))
	return struct {
		Paused bool     `json:"paused"`
		Rate   *float64 `json:"rate"`
	}{c.Paused, c.Rate}, nil
}

// saysRate reports whether a request has a rate, or asks for the configured one, but not both.
func (r *request) saysRate() bool {
	if r.Rate == nil {
		return r.Configured
	}
	return !r.Configured && *r.Rate >= 0 && !math.IsInf(*r.Rate, 0)
}

// changeControls fails with jetstream.ErrKeyExists if another operator was faster.
func changeControls(ctx context.Context, js jetstream.JetStream, bucket string, r request, verb string) (controls, error) {
	c, rev, err := readControls(ctx, js, bucket)
	if err != nil {
		return c, err
	}
	switch verb {
	case "pause", "resume":
		if c.Paused = verb == "pause"; !c.Paused {
			c.Resumed = time.Now().UTC()
		}
	default:
		c.Rate = r.Rate // nil: as configured
	}
	c.By, c.At = r.By, time.Now().UTC()
	text, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	_, err = writeKey(ctx, js, bucket, controlsKey, text, rev)
	return c, err
}

func rateText(rate *float64) string {
	if rate == nil {
		return "as configured"
	}
	return strconv.FormatFloat(*rate, 'f', -1, 64)
}

// OperatorsRate returns the rate that an operator has set; nil: none is set, or the site does not exist yet.
func OperatorsRate(ctx context.Context, conn *nats.Conn, names messages.Names) (*float64, error) {
	js, err := newJetStream(conn)
	if err != nil {
		return nil, err
	}
	c, _, err := readControls(ctx, js, names.ControlBucket())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	return c.Rate, err
}

func readControls(ctx context.Context, js jetstream.JetStream, bucket string) (controls, uint64, error) {
	text, rev, err := readKey(ctx, js, bucket, controlsKey)
	if err != nil {
		return controls{}, 0, fmt.Errorf("read the control bucket: %w", err)
	}
	var c controls
	if text != nil {
		if err := json.Unmarshal(text, &c); err != nil {
			c = controls{} // written by hand: replaced by what is asked for
		}
	}
	return c, rev, nil
}

// followControls passes the operators' settings to the worker, now and whenever they change.
func (s *Service) followControls(ctx context.Context) {
	f := &follower{conn: s.Conn, bucket: s.Names.ControlBucket(), site: s.Names.Prefix}
	f.report = func(err error) { s.Owner.troubles.report("what operators set is not heard of", err) }
	f.put = func(key string, value []byte, rev uint64) {
		if key == controlsKey {
			s.Owner.obey(value, revision{f.made, rev})
		}
	}
	f.gone = func(key string, rev uint64) {
		if key == controlsKey {
			s.Owner.obey(nil, revision{f.made, rev})
		}
	}
	f.synced = func(func(string) bool) {}
	f.run(ctx)
}

// readControls passes the operators' current settings to the worker. A process that has just started may not have received them yet,
// and a term without them would call the gateway while the calls are paused.
func (o *Owner) readControls(ctx context.Context) error {
	bucket := o.Layout.Names.ControlBucket()
	s, err := o.js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return fmt.Errorf("open the control bucket: %w", plain(err))
	}
	made := s.CachedInfo().Created
	text, rev, err := readKey(ctx, o.js, bucket, controlsKey)
	if err != nil {
		return fmt.Errorf("read the control bucket: %w", err)
	}
	o.obey(text, revision{made, rev})
	return nil
}

// revision is a revision in a bucket that was created at that time. Revisions of two buckets with the same name cannot be compared.
type revision struct {
	made time.Time
	rev  uint64
}

func (r revision) before(s revision) bool { return r.made.Equal(s.made) && r.rev < s.rev }

// obey passes the controls in text, nil for none, to the worker, unless it has newer ones already: they are both followed and read at
// each takeover.
func (o *Owner) obey(text []byte, as revision) {
	o.obeying.Lock()
	defer o.obeying.Unlock()
	if as.before(o.obeyed) {
		return
	}
	o.obeyed = as
	var c controls
	if text != nil {
		if err := json.Unmarshal(text, &c); err != nil {
			o.Log.Warn("unusable controls", "err", err)
			return
		}
		if c.Rate != nil && *c.Rate < 0 {
			o.Log.Warn("unusable controls", "err", fmt.Sprintf("rate %v: want calls per second, 0 for no limit", *c.Rate))
			return
		}
	}
	o.Worker.SetControls(worker.Controls{Paused: c.Paused, Rate: c.Rate, Resumed: c.Resumed})
}
