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

// follower follows a bucket: first all its values, then each change. After a reconnect it starts from scratch, because it may have
// missed something.
type follower struct {
	conn   *nats.Conn
	bucket string
	site   string          // its prefix: a bucket of another one is not read
	report func(err error) // called with why the bucket cannot be followed, and with nil when it can
	put    func(key string, value []byte, rev uint64)
	gone   func(key string, rev uint64)
	synced func(held func(key string) bool)                 // all that the bucket held was passed on
	made   time.Time                                        // when the bucket that is followed now was; the three may read it
	holds  func() bool                                      // reports whether any key that was put is there; nil: nobody need know
	remake func(context.Context, jetstream.JetStream) error // creates a bucket that was deleted; nil: somebody else does
}

const followPause = 250 * time.Millisecond

// run follows until ctx ends, whatever happens to the bucket or the server.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.report(err)
		}
		pauseFor(ctx, followPause)
	}
}

// bucketLook is how often the follower checks that the bucket is the same one: a reader of a bucket that was purged or created again
// gets no message about that.
const bucketLook = 2 * time.Second

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
		return err
	}
	f.made = s.CachedInfo().Created
	r, err := OpenReader(asking, js, "KV_"+f.bucket, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy})
	if err != nil {
		return plain(err)
	}
	defer r.Stop() //nolint:contextcheck // ctx may have ended: that is why the reading ends
	f.report(nil)
	in := f.intake(r.Pending())
	remains := expiries{}
	for looked := time.Now(); ; {
		m, err := r.Next(ctx, bucketLook)
		switch {
		case err == nil:
			in.message(&m)
			remains.note(&m)
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, ErrQuiet):
			return plain(err)
		}
		select {
		case <-lost:
			return nil
		default:
		}
		if time.Since(looked) < bucketLook {
			continue
		}
		looked = time.Now()
		if err := f.look(ctx, s); err != nil {
			return err
		}
		remains.look(ctx, js, "KV_"+f.bucket, looked, func(m expired) { in.gone(strings.TrimPrefix(m.subject, in.prefix), m.seq) })
	}
}

// look fails if the bucket was replaced or purged.
func (f *follower) look(ctx context.Context, s jetstream.Stream) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	switch info, err := s.Info(ctx); {
	case errors.Is(err, jetstream.ErrStreamNotFound), err == nil && !info.Created.Equal(f.made):
		return errors.New("the bucket was deleted")
	case err == nil && info.State.Msgs == 0 && f.holds != nil && f.holds():
		return errors.New("the bucket was purged") // a purge leaves no marker for any key
	}
	return nil
}

// intake handles the messages of one connection, one at a time.
type intake struct {
	*follower
	held   map[string]struct{} // keys seen while the bucket's content is read; nil afterwards
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

func (in *intake) message(m *Message) {
	key := strings.TrimPrefix(m.Subject, in.prefix)
	if isGone(m.Header) {
		in.gone(key, m.Seq)
	} else {
		if in.held != nil {
			in.held[key] = struct{}{}
		}
		in.put(key, m.Data, m.Seq)
	}
	if in.held != nil && m.Pending == 0 {
		in.done()
	}
}

// isGone reports whether a message marks its key as deleted or expired.
func isGone(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
}

// FollowSessions copies the registry to the worker's sessions until ctx ends. It creates the registry again if it was deleted. A record
// that cannot be used is logged, without its content, each time it becomes so, and its agent counts as not signed in.
func (o *Owner) FollowSessions(ctx context.Context) {
	o.troubles.logTo(o.Log)
	sessions := o.Worker.Sessions
	unusable := ration{}
	leftOut := map[string]bool{} // reports that were logged: a site's records are mostly all alike
	f := &follower{
		conn: o.Conn, bucket: o.Layout.Names.SessionsBucket(), site: o.Layout.Names.Prefix,
		report: func(err error) { o.troubles.report("sign-ins are not heard of", err) },
		put: func(key string, value []byte, rev uint64) {
			session, err := messages.DecodeSession(value)
			if err == nil && !messages.ValidAgentID(key) {
				err = errors.New("the key is not an agent ID: want 101 to 999999")
			}
			if err != nil {
				if sessions.Reject(key, err.Error()) && unusable.take(time.Now()) {
					o.Log.Warn("unusable session", "key", ShownKey(key), "why", err)
					if unusable.left == 0 {
						o.Log.Warn("further unusable sessions are not logged for a minute: idlectl status counts them")
					}
				}
				return
			}
			for _, report := range session.LeftOut {
				if !leftOut[report] && len(leftOut) < 20 {
					leftOut[report] = true
					o.Log.Warn("part of a session cannot be used; further sessions like it are not reported", "key", ShownKey(key), "why", report)
				}
			}
			sessions.Put(key, session, rev)
		},
		gone:   func(key string, _ uint64) { sessions.Delete(key) },
		synced: sessions.Synced,
		holds:  func() bool { return sessions.Len() > 0 },
		remake: func(ctx context.Context, js jetstream.JetStream) error {
			_, err := o.Layout.Ensure(ctx, js)
			return err
		},
	}
	f.run(ctx)
}

// ShownKey returns the key of a session for display: if somebody confused key and value, it is a GUID.
func ShownKey(key string) string {
	if len(key) > longestKey {
		return strings.TrimSpace("(not shown) " + messages.Fingerprint(key))
	}
	return key
}

const longestKey = 12 // no GUID is so short

// ration bounds the lines in a log for what one writer can cause as often as it likes: a record that is by turns good and bad, for
// instance.
type ration struct {
	since time.Time // of the minute that counts
	left  int       // lines in that minute
}

const linesAMinute = 50

// take reports whether one more line may be logged.
func (r *ration) take(now time.Time) bool {
	if now.Sub(r.since) >= time.Minute {
		*r = ration{now, linesAMinute}
	}
	if r.left == 0 {
		return false
	}
	r.left--
	return true
}
