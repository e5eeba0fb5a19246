package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// Registry writes sessions for processes that see the desktops' traffic. Each write expects the revision of the record, so that
// several writers agree. Headers of the record have what only the writers need.
//
// It needs to publish on the bucket's subjects, to read single messages of the bucket's stream, and the stream's
// information. It creates no consumer.
type Registry struct {
	conn  *nats.Conn
	names messages.Names
}

// OpenRegistry connects to NATS. Close closes the connection.
func OpenRegistry(ctx context.Context, o Options, names messages.Names) (*Registry, error) {
	conn, err := Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Registry{conn: conn, names: names}, nil
}

// Close closes the connection.
func (r *Registry) Close() { r.conn.Close() }

// Connected reports whether the connection is up.
func (r *Registry) Connected() bool { return r.conn.IsConnected() }

// Where returns the address of the server as it may be shown, with its version.
func (r *Registry) Where() (address, version string) {
	return Where(r.conn), r.conn.ConnectedServerVersion()
}

// SessionRecord is the record of one agent in the registry. The zero value means that there is none.
type SessionRecord struct {
	Rev     uint64
	Gone    bool // it was deleted
	Session messages.Session
	Assumed bool      // as the writer said
	Since   time.Time // as the writer said; zero: it was not a Registry
	Written time.Time // by the server's clock
	Retired []string  // as the writer said
}

// ErrRevision is returned if the record does not have the expected revision.
var ErrRevision = errors.New("the record has a different revision")

// Headers of a record. Anybody who may write sessions may write anything into them.
const (
	sinceHeader   = "Idle-Since"
	assumedHeader = "Idle-Assumed"
	retiredHeader = "Idle-Retired"
	mostRetired   = 16

	clockSlack = time.Minute // between the clocks of writers and servers
)

// Get reads an agent's record from the leader of the stream: a replica may be behind. A record that cannot be used counts
// as one without a GUID, which anybody may replace.
func (r *Registry) Get(ctx context.Context, agent string) (SessionRecord, error) {
	js, err := newJetStream(r.conn)
	if err != nil {
		return SessionRecord{}, err
	}
	m, err := GetLastMsg(ctx, js, r.stream(), r.subject(agent))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return SessionRecord{}, nil
	}
	if err != nil {
		return SessionRecord{}, fmt.Errorf("read from the bucket of the sessions: %w", r.explain(err))
	}
	rec := SessionRecord{Rev: m.Seq, Written: m.At}
	rec.readHeaders(m.Header)
	if rec.Since.After(rec.Written.Add(clockSlack)) {
		rec.Since = rec.Written // a clock that is wrong must not keep later writers out
	}
	if !rec.Gone {
		rec.Session, _ = messages.DecodeSession(m.Data) // the worker reports what cannot be used
	}
	return rec, nil
}

func (rec *SessionRecord) readHeaders(h nats.Header) {
	rec.Gone = isGone(h)
	rec.Since, _ = time.Parse(time.RFC3339Nano, h.Get(sinceHeader)) // what cannot be read was not said
	rec.Assumed = h.Get(assumedHeader) == "true"
	if retired := h.Get(retiredHeader); retired != "" {
		rec.Retired = strings.SplitN(retired, ",", mostRetired)
	}
}

// Put stores a record, or deletes it if it is Gone, if the stored one still has its Rev. It returns the new revision.
func (r *Registry) Put(ctx context.Context, agent string, rec SessionRecord) (uint64, error) {
	js, err := newJetStream(r.conn)
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(r.subject(agent))
	if !rec.Since.IsZero() {
		m.Header.Set(sinceHeader, rec.Since.UTC().Format(time.RFC3339Nano))
	}
	if rec.Assumed {
		m.Header.Set(assumedHeader, "true")
	}
	if len(rec.Retired) > 0 {
		m.Header.Set(retiredHeader, strings.Join(rec.Retired, ","))
	}
	if rec.Gone {
		m.Header.Set("KV-Operation", "DEL")
	} else {
		m.Data = messages.EncodeSession(rec.Session)
	}
	asking, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	ack, err := js.PublishMsg(asking, m, jetstream.WithExpectLastSequencePerSubject(rec.Rev), jetstream.WithRetryAttempts(0))
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return 0, ErrRevision
	}
	if err != nil {
		return 0, fmt.Errorf("store a session: %w", plain(err))
	}
	return ack.Sequence, nil
}

// Agents returns the agents that have, or had, a session in the registry.
func (r *Registry) Agents(ctx context.Context) ([]string, error) {
	js, err := newJetStream(r.conn)
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, r.stream())
	if err != nil {
		return nil, fmt.Errorf("open the bucket of the sessions: %w", r.explain(err))
	}
	if err := Foreign(s.CachedInfo().Config, r.names); err != nil {
		return nil, fmt.Errorf("open the bucket of the sessions: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(r.subject("*")))
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", plain(err))
	}
	var agents []string
	for subject := range info.State.Subjects {
		if agent := subject[len(r.subject("")):]; messages.ValidAgentID(agent) {
			agents = append(agents, agent)
		}
	}
	return agents, nil
}

// explain says what a missing bucket means. Only workers create it.
func (r *Registry) explain(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("it does not exist: the worker with IDLE_PREFIX=%s creates it: start that worker first, or check IDLE_PREFIX", r.names.Prefix)
	}
	return plain(err)
}

// Ask asks the other writers which of these agents they have seen lately. [Registry.Attend] receives their answers.
func (r *Registry) Ask(_ context.Context, agents []string) error {
	if err := r.conn.Publish(r.askSubject(), []byte(strings.Join(agents, " "))); err != nil {
		return fmt.Errorf("ask the other writers of sessions: %w", plain(err))
	}
	return nil
}

// Attend answers other writers with those of their agents that known returns, tells seen what they answer, and calls again
// whenever the connection is back after it was lost, until ctx ends.
func (r *Registry) Attend(ctx context.Context, known func(agents []string) []string, seen func(agents []string), again func()) error {
	back := r.conn.StatusChanged(nats.CONNECTED)
	defer r.conn.RemoveStatusListener(back)
	asked, err := r.conn.Subscribe(r.askSubject(), func(m *nats.Msg) {
		if have := known(strings.Fields(string(m.Data))); len(have) > 0 {
			_ = r.conn.Publish(r.seenSubject(), []byte(strings.Join(have, " "))) // whoever misses it asks again
		}
	})
	if err != nil {
		return fmt.Errorf("attend to the other writers of sessions: %w", plain(err))
	}
	defer func() { _ = asked.Unsubscribe() }() // the connection ends next
	told, err := r.conn.Subscribe(r.seenSubject(), func(m *nats.Msg) { seen(strings.Fields(string(m.Data))) })
	if err != nil {
		return fmt.Errorf("attend to the other writers of sessions: %w", plain(err))
	}
	defer func() { _ = told.Unsubscribe() }() // likewise
	for {
		select {
		case <-back:
			again()
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Registry) stream() string { return "KV_" + r.names.SessionsBucket() }

func (r *Registry) subject(agent string) string {
	return "$KV." + r.names.SessionsBucket() + "." + agent
}

func (r *Registry) askSubject() string { return r.names.Prefix + ".tap.silent" }

func (r *Registry) seenSubject() string { return r.names.Prefix + ".tap.seen" }
