package stream

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readKey returns the value of a key from the leader of a bucket, whatever headers it has, and the revision that the next write must
// expect. The value is nil if there is none or it was deleted.
func readKey(ctx context.Context, js jetstream.JetStream, bucket, key string) (value []byte, rev uint64, err error) {
	m, err := GetLastMsg(ctx, js, "KV_"+bucket, "$KV."+bucket+"."+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, plain(err)
	}
	if isGone(m.Header) {
		return nil, m.Seq, nil
	}
	return append([]byte{}, m.Data...), m.Seq, nil
}

// writeKey replaces the value with that revision, 0 if there is none, and returns the new revision. It fails with
// jetstream.ErrKeyExists if the key was written since.
func writeKey(ctx context.Context, js jetstream.JetStream, bucket, key string, value []byte, rev uint64) (uint64, error) {
	subject := "$KV." + bucket + "." + key
	if domainOf(js.Conn()) != "" {
		subject = apiSubject(js.Conn(), subject) // a leaf node passes that on
	}
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: value}, jetstream.WithExpectLastSequencePerSubject(rev))
	if conflict(err) {
		return 0, jetstream.ErrKeyExists
	}
	if err != nil {
		return 0, plain(err)
	}
	return ack.Sequence, nil
}
