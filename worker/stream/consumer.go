package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func (l Layout) consumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: consumerName, Description: "the one owner of the site, picked by the server",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 24 * time.Hour, MaxDeliver: -1, MaxAckPending: -1,
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{priorityGroup}, PinnedTTL: l.Takeover,
		MaxWaiting: 512,
	}
}

// Consumer returns the one consumer of the changes, created if it is missing. What differs it leaves to the owner: one that
// counts on the server to keep its place for so long must not have that time shortened behind its back.
func (l Layout) Consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	name := l.Names.ChangesStream()
	c, err := js.Consumer(ctx, name, consumerName)
	for began := time.Now(); errors.Is(err, jetstream.ErrConsumerNotFound) && time.Since(began) < l.consumerLag(ctx, js); {
		pauseFor(ctx, consumerLook)
		c, err = js.Consumer(ctx, name, consumerName)
	}
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if c, err = js.CreateOrUpdateConsumer(ctx, name, l.consumer()); err != nil {
			if answer, ok := errors.AsType[*jetstream.APIError](err); ok && (answer.ErrorCode == codeOtherReaders || answer.ErrorCode == codeNotUnique) {
				if whose := l.others(ctx, js); whose != nil {
					return nil, whose
				}
			}
			return nil, fmt.Errorf("create consumer %s of %s: %w", consumerName, name, plain(err))
		}
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up consumer %s of %s: %w", consumerName, name, plain(err))
	}
	return c, nil
}

// How long after its stream a consumer may be restored, and how often it is looked for meanwhile.
const (
	consumerLagCluster = 4 * time.Second        // its servers answer a restore as soon as the stream is there
	consumerLagAlone   = 300 * time.Millisecond // the server has only to read what it was sent
	consumerLook       = 100 * time.Millisecond
)

// consumerLag returns for how long a consumer that is missing may still come. One that was created in the meantime would
// not know the incarnations, and what had ended would end once more. The consumer of an empty stream has nothing to know.
func (l Layout) consumerLag(ctx context.Context, js jetstream.JetStream) time.Duration {
	s, err := js.Stream(ctx, l.Names.ChangesStream())
	if err != nil || s.CachedInfo().State.LastSeq == 0 {
		return 0
	}
	if c := s.CachedInfo().Cluster; c == nil || c.Name == "" { // a server alone names itself only
		return consumerLagAlone
	}
	return consumerLagCluster
}

// mend corrects those settings of the consumer that differ from what the worker needs, and returns what it is now and what was mended.
func (l Layout) mend(ctx context.Context, js jetstream.JetStream, has jetstream.ConsumerConfig) (
	is jetstream.ConsumerConfig, differs []string, err error,
) {
	want := l.consumer()
	want.Metadata = has.Metadata     // the incarnations of the stream
	want.MaxWaiting = has.MaxWaiting // the server lets nobody change it
	differs = mended(has, want)
	if len(differs) == 0 {
		return has, nil, nil
	}
	c, err := js.CreateOrUpdateConsumer(ctx, l.Names.ChangesStream(), want)
	if err != nil {
		return has, differs, fmt.Errorf("update consumer %s of %s: %w", consumerName, l.Names.ChangesStream(), plain(err))
	}
	is = c.CachedInfo().Config
	if is.MaxRequestBatch == has.MaxRequestBatch { // it is a limit of the server or the account, who set it again
		want.MaxRequestBatch = has.MaxRequestBatch
		differs = mended(has, want)
	}
	return is, differs, nil
}

// mended names what of the consumer is not as the worker needs it. That is set right, unlike what differs of a stream: with a
// filter or an end of deliveries changes would be lost, and the rest is what the takeover rests on.
func mended(has, want jetstream.ConsumerConfig) (differs []string) {
	const none = "nothing"
	say := func(what string, is, needs any) {
		if is != needs {
			differs = append(differs, fmt.Sprintf("consumer %s had %s %v: now %v", consumerName, what, is, needs))
		}
	}
	say("a takeover time of", has.PinnedTTL, want.PinnedTTL)
	say("ack wait", has.AckWait, want.AckWait)
	say("max ack pending", has.MaxAckPending, want.MaxAckPending)
	say("max deliveries", has.MaxDeliver, want.MaxDeliver)
	say("a filter of", cmp.Or(strings.Join(append(has.FilterSubjects, has.FilterSubject), ""), none), none)
	say("back-off steps", len(has.BackOff), len(want.BackOff))
	say("headers only", has.HeadersOnly, want.HeadersOnly)
	say("max messages of a pull", has.MaxRequestBatch, want.MaxRequestBatch)
	say("max bytes of a pull", has.MaxRequestMaxBytes, want.MaxRequestMaxBytes)
	say("a longest pull of", has.MaxRequestExpires, want.MaxRequestExpires)
	return differs
}
