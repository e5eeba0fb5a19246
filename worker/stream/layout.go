package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// Layout is what the worker needs to find on the server: three streams, three buckets and one consumer.
type Layout struct {
	Names     messages.Names
	Replicas  int           // of what is created; 0: 1
	MaxBytes  int64         // of each stream and bucket that is created; 0: no limit
	Retention time.Duration // of results and dead letters
	Takeover  time.Duration // how long a silent owner keeps its place
}

const (
	consumerName  = "worker"
	priorityGroup = "owner"
	// Every result has its own ID, so a long duplicate window would be useless.
	sameResult = time.Second
)

// Errors that waiting does not solve: a stream of the right name belongs to another prefix or is of the wrong kind, or a stream of
// another name has our subjects.
var (
	ErrForeign  = errors.New("belongs to another prefix")
	ErrTaken    = errors.New("is taken by another stream")
	ErrUnusable = errors.New("cannot be used")
)

// markPrefix is the metadata key with a stream's prefix. Names and a bucket's subjects are the same for prefixes that differ only in
// dots and dashes, and the bucket of the sessions holds credentials.
const markPrefix = "idlepolicy_prefix"

func (l Layout) changes() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: l.Names.ChangesStream(), Subjects: []string{l.Names.Changes(), l.Names.ChangesAll()},
		Description: "idle-policy changes that have not ended",
		Retention:   jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: l.Replicas,
		Duplicates: ledger.SameMessage,
	}
}

func (l Layout) results() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: l.Names.ResultsStream(), Subjects: []string{l.Names.ResultsAll(), l.Names.BatchAll()},
		Description: "what became of idle-policy changes",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: l.Replicas,
		MaxAge: l.Retention, Duplicates: sameResult,
	}
}

func (l Layout) dead() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: l.Names.DeadStream(), Subjects: []string{l.Names.DeadAll()},
		Description: "idle-policy changes that failed or were rejected",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: l.Replicas,
		MaxAge: l.Retention, Duplicates: min(ledger.SameMessage, l.Retention),
	}
}

// bucket returns the stream behind a bucket that keeps the last value of each key. It allows no roll-ups: one record with the
// header "Nats-Rollup: all" would remove those of all other keys.
func (l Layout) bucket(name, about string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"}, Description: about,
		Storage: jetstream.FileStorage, Replicas: l.Replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		DenyDelete: true, AllowDirect: true, Duplicates: 2 * time.Minute, AllowMsgTTL: true,
	}
}

// applied is a view of the results: the server itself copies the last one of each agent that was applied.
func (l Layout) applied() jetstream.StreamConfig {
	name := l.Names.AppliedBucket()
	c := l.bucket(name, "the policy in force for each agent: a view of the results")
	c.Subjects, c.AllowMsgTTL = nil, false
	transform := func(o messages.Outcome) jetstream.SubjectTransformConfig {
		return jetstream.SubjectTransformConfig{
			Source: l.Names.Result(o, "*"), Destination: "$KV." + name + ".{{wildcard(1)}}",
		}
	}
	c.Discard = jetstream.DiscardOld
	c.Sources = []*jetstream.StreamSource{{
		Name:              l.Names.ResultsStream(),
		SubjectTransforms: []jetstream.SubjectTransformConfig{transform(messages.Applied), transform(messages.Reapplied)},
	}}
	return c
}

// sessions may be written with a time to live, at the end of which the agent is signed out like by a deletion. The server
// could leave a marker then, but only where it allows roll-ups: see expiry.go.
func (l Layout) sessions() jetstream.StreamConfig {
	return l.bucket(l.Names.SessionsBucket(), "sessions of the agents that are signed in: credentials")
}

// control is read from the leader only: a process that took over and read an old record would not wait for the last owner's calls.
func (l Layout) control() jetstream.StreamConfig {
	c := l.bucket(l.Names.ControlBucket(), "owner, pause and rate of the idle-policy worker")
	c.AllowDirect = false
	return c
}

// CreatePlans creates the bucket in which idlectl keeps what it has applied of schedules, with the replicas and max_bytes of the changes.
// The worker does not need it. It is read from the leader only: an old revision would be taken for somebody else's.
func CreatePlans(ctx context.Context, js jetstream.JetStream, names messages.Names, changes jetstream.StreamConfig) error {
	l := Layout{Names: names, Replicas: changes.Replicas}
	c := l.bucket(names.PlansBucket(), "what idlectl plan has applied, by plan and agent")
	c.AllowDirect = false
	c.MaxBytes = max(0, changes.MaxBytes)
	c.Metadata = map[string]string{markPrefix: names.Prefix}
	err := create(ctx, js, c)
	way := remedy(err)
	if answer, ok := errors.AsType[*jetstream.APIError](err); ok && answer.ErrorCode == codeMaxBytes {
		way = "give stream " + changes.Name + " max_bytes with nats stream edit: the bucket gets the same"
	}
	if way != "" {
		return fmt.Errorf("%w; %s", plain(err), way)
	}
	return err
}

func (l Layout) streams() []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{
		l.changes(), l.results(), l.dead(),
		l.sessions(), l.control(), l.applied(),
	}
	for i := range all {
		all[i].Metadata = map[string]string{markPrefix: l.Names.Prefix}
		if l.MaxBytes > 0 {
			all[i].MaxBytes = l.MaxBytes
			if all[i].Retention == jetstream.WorkQueuePolicy {
				all[i].Discard = jetstream.DiscardNew // a change that there is no room for is refused, never one that was accepted
			}
		}
	}
	return all
}

// Inspect looks at what is on the server and changes nothing: what is missing, and what differs from what the worker
// needs, one sentence each. Where a stream belongs to another prefix, its kind is wrong, or one of another name takes
// subjects that would be ours, it fails.
func (l Layout) Inspect(ctx context.Context, js jetstream.JetStream) (missing []jetstream.StreamConfig, differs []string, err error) {
	l.Replicas = max(1, l.Replicas)
	for _, want := range l.streams() {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing = append(missing, want)
			continue
		}
		if why := ExplainNoJetStream(js.Conn(), err); why != nil {
			return nil, nil, why
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look up stream %s: %w", want.Name, plain(err))
		}
		has := s.CachedInfo().Config
		if err := l.owns(has, want); err != nil {
			return nil, nil, err
		}
		if err := ledBy(s.CachedInfo()); err != nil {
			return nil, nil, err
		}
		differs = append(differs, differences(has, want)...)
	}
	blind, err := inTheWay(ctx, js, missing)
	if blind != nil {
		differs = append(differs, fmt.Sprintf("whether a stream of another name takes the subjects of those that are missing could not be seen: %v", blind))
	}
	if err != nil {
		return nil, nil, err
	}
	notes, err := l.foresee(ctx, js, missing)
	return missing, append(differs, notes...), err
}

// PrefixOfChanges returns the prefix of the site whose stream of changes this is; ok is false if it is another stream.
func PrefixOfChanges(c jetstream.StreamConfig) (prefix string, ok bool) {
	prefix = cmp.Or(c.Metadata[markPrefix], prefixOf(c.Subjects))
	names := messages.Names{Prefix: prefix}
	return prefix, messages.CheckPrefix(prefix) == nil && names.ChangesStream() == c.Name && slices.Contains(c.Subjects, names.Changes())
}

// owns returns an error if a stream cannot be this site's.
func (l Layout) owns(has, want jetstream.StreamConfig) error {
	other := has.Metadata[markPrefix]
	sameSubjects := slices.Equal(has.Subjects, want.Subjects) || len(want.Subjects) == 0
	if other == "" && !sameSubjects {
		other = prefixOf(has.Subjects)
	}
	switch {
	case other != "" && other != l.Names.Prefix && sameSubjects:
		return fmt.Errorf("stream %s %w, %s, whose name is the same without dots and dashes; choose an IDLE_PREFIX of your own",
			want.Name, ErrForeign, other)
	case other != "" && other != l.Names.Prefix:
		return fmt.Errorf("stream %s %w, %s: it has the subjects %s, not %s; choose an IDLE_PREFIX of your own",
			want.Name, ErrForeign, other, strings.Join(has.Subjects, " "), strings.Join(want.Subjects, " "))
	case !sameSubjects:
		return fmt.Errorf("stream %s has the subjects %s, not %s: it %w; choose an IDLE_PREFIX of your own",
			want.Name, strings.Join(has.Subjects, " "), strings.Join(want.Subjects, " "), ErrForeign)
	case has.Retention != want.Retention:
		return fmt.Errorf("stream %s has %s retention, and the worker needs %s: it %w; delete it once it is "+
			"empty, and the worker creates it again", want.Name, has.Retention, want.Retention, ErrUnusable)
	}
	return nil
}

// Ensure creates what is missing and returns what differs from what the worker needs. It fails where Inspect fails, and
// then has changed nothing.
func (l Layout) Ensure(ctx context.Context, js jetstream.JetStream) (differs []string, err error) {
	missing, differs, err := l.Inspect(ctx, js)
	if err != nil {
		return nil, err
	}
	for _, want := range missing {
		switch err := create(ctx, js, want); {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // somebody was quicker, who may be of another prefix
			return l.Ensure(ctx, js)
		case isOverlap(err):
			return differs, fmt.Errorf("create stream %s: one of its subjects, %s, %w", want.Name, strings.Join(want.Subjects, " "), ErrTaken)
		case err != nil && remedy(err) != "":
			return differs, fmt.Errorf("create stream %s: %w; %s", want.Name, plain(err), remedy(err))
		case err != nil:
			return differs, fmt.Errorf("create stream %s: %w", want.Name, plain(err))
		}
	}
	return differs, nil
}

// differences returns how a stream differs from what this worker would have created. It is not changed, because an operator may have
// set it on purpose.
func differences(has, want jetstream.StreamConfig) (differs []string) {
	say := func(what string, is, needs any) {
		if is != needs {
			differs = append(differs, fmt.Sprintf("stream %s has %s %v, the worker would choose %v", want.Name, what, is, needs))
		}
	}
	say("replicas", has.Replicas, want.Replicas)
	say("storage", has.Storage, want.Storage)
	say("max age", has.MaxAge, want.MaxAge)
	say("max messages", max(has.MaxMsgs, 0), max(want.MaxMsgs, 0))
	say("max bytes", max(has.MaxBytes, 0), max(want.MaxBytes, 0))
	say("max messages per subject", max(has.MaxMsgsPerSubject, 0), want.MaxMsgsPerSubject)
	say("duplicate window", has.Duplicates, want.Duplicates)
	say("roll-ups", has.AllowRollup, want.AllowRollup)
	if want.Retention == jetstream.WorkQueuePolicy {
		say("message schedules", has.AllowMsgSchedules, false)
		say("message TTLs", has.AllowMsgTTL, false)
	}
	return differs
}

// Prepare creates what is missing, with a connection of the worker. wrong reports whether an error is one that no waiting
// mends.
func Prepare(ctx context.Context, nc *nats.Conn, l Layout) (wrong bool, err error) {
	js, err := newJetStream(nc)
	if err != nil {
		return false, err
	}
	_, err = l.Ensure(ctx, js)
	if denied := denial(nc); denied != nil && err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)) {
		err = denied
	}
	return errors.Is(err, ErrForeign) || errors.Is(err, ErrTaken) || errors.Is(err, ErrUnusable), err
}

// Report says what a worker would find on the server and changes nothing: one sentence each. What the server denies gets
// no answer, and is named as soon as it is denied.
func Report(ctx context.Context, nc *nats.Conn, l Layout) ([]string, error) {
	js, err := newJetStream(nc)
	if err != nil {
		return nil, err
	}
	ctx, deny := context.WithCancelCause(ctx)
	defer deny(nil)
	told := nc.ErrorHandler()
	defer nc.SetErrorHandler(told)
	nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if told != nil {
			told(nc, sub, err)
		}
		if errors.Is(err, nats.ErrPermissionViolation) {
			deny(deniedError(err))
		}
	})
	missing, found, err := l.Inspect(ctx, js)
	switch denied := context.Cause(ctx); {
	case errors.Is(denied, nats.ErrPermissionViolation) && err != nil:
		err = denied
	case errors.Is(denied, nats.ErrPermissionViolation):
		found = append(found, denied.Error())
	}
	for _, m := range missing {
		found = append(found, fmt.Sprintf("stream %s is missing: the worker creates it", m.Name))
	}
	if err == nil {
		err = l.others(ctx, js)
	}
	return found, err
}
