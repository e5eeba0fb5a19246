package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// follower follows a bucket live: all that it holds at first, then each change. After a reconnect it begins from
// scratch, because nobody knows what was missed. An ordered consumer serves rather than a watch of the bucket, which
// can take long to notice that its server is gone.
type follower struct {
	conn   *nats.Conn
	bucket string
	site   string // its prefix: nothing of another's is read
	log    *slog.Logger
	put    func(key string, value []byte, rev uint64)
	gone   func(key string, rev uint64)
	synced func(held func(key string) bool)                 // all that the bucket held was told
	made   time.Time                                        // when the bucket that is followed now was; the three may read it
	holds  func() bool                                      // whether anything that was told of is there; nil: nobody need know
	remake func(context.Context, jetstream.JetStream) error // makes a bucket that was deleted anew; nil: somebody else does
}

const (
	followPause = 250 * time.Millisecond
	followHears = 2 * time.Second // twice that without a word of the server, and following begins anew
)

// run follows until ctx ends, whatever happens to the bucket or the server.
func (f *follower) run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			f.log.Warn("following a bucket is interrupted", "bucket", f.bucket, "err", err)
		}
		pauseFor(ctx, followPause)
	}
}

// once follows until the connection was lost or the bucket is in trouble.
func (f *follower) once(ctx context.Context) error {
	lost := f.conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer f.conn.RemoveStatusListener(lost)
	js, err := newJetStream(f.conn)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	s, err := js.Stream(asking, "KV_"+f.bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if f.made.IsZero() || f.remake == nil {
			return nil // nobody has made it yet
		}
		return f.remake(asking, js)
	}
	if err != nil {
		return fmt.Errorf("open the bucket: %w", plain(err))
	}
	if err := Foreign(s.CachedInfo().Config, messages.Names{Prefix: f.site}); err != nil {
		return fmt.Errorf("follow the bucket: %w", err)
	}
	f.made = s.CachedInfo().Created
	c, err := s.OrderedConsumer(asking, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		return fmt.Errorf("follow the bucket: %w", plain(err))
	}
	info, err := c.Info(asking)
	if err != nil {
		return fmt.Errorf("follow the bucket: %w", plain(err))
	}
	intake := f.intake(info.NumPending)
	broken := make(chan error, 1)
	consuming, err := c.Consume(intake.message, jetstream.PullHeartbeat(followHears), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrStreamNotFound) {
			select {
			case broken <- err:
			default:
			}
		}
	}))
	if err != nil {
		return fmt.Errorf("follow the bucket: %w", plain(err))
	}
	defer func() {
		consuming.Stop()
		<-consuming.Closed() // nothing of this round may be told during the next
	}()
	return f.until(ctx, s, lost, broken)
}

// bucketLook is how often it is looked whether the bucket was made anew: its consumer would not say so.
const bucketLook = 2 * time.Second

func (f *follower) until(ctx context.Context, s jetstream.Stream, lost <-chan nats.Status, broken <-chan error) error {
	tick := time.NewTicker(bucketLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-lost:
			return nil
		case err := <-broken:
			return fmt.Errorf("follow the bucket: %w", plain(err))
		case <-tick.C:
		}
		asking, cancel := context.WithTimeout(ctx, requestFor)
		info, err := s.Info(asking)
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) || (err == nil && !info.Created.Equal(f.made)) {
			return errors.New("the bucket was deleted")
		}
		if err == nil && info.State.Msgs == 0 && f.holds != nil && f.holds() {
			return errors.New("the bucket was purged") // which tells of no key that it is gone
		}
	}
}

// intake is one round of following. Its messages come one at a time.
type intake struct {
	*follower
	held   map[string]struct{} // keys seen while the bucket's content is told; nil afterwards
	prefix string
}

func (f *follower) intake(pending uint64) *intake {
	in := &intake{follower: f, held: map[string]struct{}{}, prefix: "$KV." + f.bucket + "."}
	if pending == 0 {
		in.done()
	}
	return in
}

func (in *intake) done() {
	held := in.held
	in.held = nil
	in.synced(func(key string) bool { _, ok := held[key]; return ok })
}

func (in *intake) message(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	key := strings.TrimPrefix(m.Subject(), in.prefix)
	if isGone(m.Headers()) {
		in.gone(key, meta.Sequence.Stream)
	} else {
		if in.held != nil {
			in.held[key] = struct{}{}
		}
		in.put(key, m.Data(), meta.Sequence.Stream)
	}
	if in.held != nil && meta.NumPending == 0 {
		in.done()
	}
}

// isGone tells whether a message says that its key is gone: deleted, or at the end of its time.
func isGone(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
}

// FollowSessions keeps sessions as the registry has them, until ctx ends, and makes a registry that was deleted meanwhile
// anew. A record that cannot be used is logged once,
// without its content, and its agent counts as not signed in.
func FollowSessions(ctx context.Context, nc *nats.Conn, layout Layout, sessions *worker.Sessions, log *slog.Logger) {
	leftOut := map[string]bool{} // reports that were logged: a site's records are mostly all alike
	f := &follower{
		conn: nc, bucket: layout.Names.SessionsBucket(), site: layout.Names.Prefix, log: log,
		put: func(key string, value []byte, rev uint64) {
			session, err := messages.DecodeSession(value)
			if err == nil && !messages.ValidAgentID(key) {
				err = errors.New("the key is not an agent ID: want 101 to 999999")
			}
			if err != nil {
				if sessions.Reject(key, err.Error()) {
					log.Warn("unusable session", "key", ShownKey(key), "why", err)
				}
				return
			}
			for _, report := range session.LeftOut {
				if !leftOut[report] && len(leftOut) < 20 {
					leftOut[report] = true
					log.Warn("part of a session cannot be used; further sessions like it are not reported", "key", ShownKey(key), "why", report)
				}
			}
			sessions.Put(key, session, rev)
		},
		gone:   func(key string, _ uint64) { sessions.Delete(key) },
		synced: sessions.Synced,
		holds:  func() bool { return sessions.Len() > 0 },
		remake: func(ctx context.Context, js jetstream.JetStream) error {
			_, err := layout.Ensure(ctx, js)
			return err
		},
	}
	f.run(ctx)
}

// ShownKey is the key of a session as it may be shown: whoever mixes key and value up has a GUID there.
func ShownKey(key string) string {
	if len(key) > longestKey {
		return strings.TrimSpace("(not shown) " + messages.Fingerprint(key))
	}
	return key
}

const longestKey = 12 // no GUID is so short
