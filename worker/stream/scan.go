package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	scanQuiet    = time.Second // after which the leader is asked whether anything is still to come
	scanPatience = 10          // such questions without a message in between, until a scan is given up
)

// errScan is returned if a stream does not send what its leader says it has. An incomplete ledger is worse than none.
var errScan = errors.New("the server does not send all of it")

// scan reads the messages of a subject that the stream's leader had at the time of the call. It waits for them, because the replica
// that serves them may be behind.
func scan(ctx context.Context, js jetstream.JetStream, stream, subject string, cfg jetstream.OrderedConsumerConfig,
	each func(*Message) error,
) error {
	last, err := lastOf(ctx, js, stream, subject)
	if err != nil {
		return err
	}
	if last.Seq == 0 || last.Seq < cfg.OptStartSeq || (cfg.OptStartTime != nil && last.At.Before(*cfg.OptStartTime)) {
		return nil
	}
	cfg.FilterSubjects = []string{subject}
	r, err := OpenReader(ctx, js, stream, cfg)
	if err != nil {
		return plain(err)
	}
	defer r.Stop() //nolint:contextcheck // ctx may have ended: that is why the reading ends
	// The last message may be deleted meanwhile, so any later end will do.
	for seen, patience := uint64(0), scanPatience; seen < last.Seq; {
		m, err := r.Next(ctx, scanQuiet)
		switch {
		case err == nil:
		case !errors.Is(err, ErrQuiet) && !errors.Is(err, ErrDeaf):
			return plain(err)
		case patience == 0:
			return errScan
		default:
			patience--
			if last, err = lastOf(ctx, js, stream, subject); err != nil {
				return err
			}
			continue
		}
		if err := each(&m); err != nil {
			return err
		}
		seen, patience = m.Seq, scanPatience
	}
	return nil
}

// lastOf returns a subject's last message from the leader of the stream; the zero Message if there is none.
func lastOf(ctx context.Context, js jetstream.JetStream, stream, subject string) (Message, error) {
	m, err := GetLastMsg(ctx, js, stream, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, nil
	}
	return m, plain(err)
}

// lastGenuine returns the last message of a subject for which genuine returns true, or the zero Message. last is the sequence of the
// subject's last message, which the next one must expect: a stranger may have published it.
func lastGenuine(ctx context.Context, js jetstream.JetStream, stream, subject string, genuine func(*Message) bool) (Message, uint64, error) {
	last, err := lastOf(ctx, js, stream, subject)
	if err != nil || last.Seq == 0 || genuine(&last) {
		return last, last.Seq, err
	}
	var found Message
	err = scan(ctx, js, stream, subject, jetstream.OrderedConsumerConfig{}, func(m *Message) error {
		if m.Seq <= last.Seq && genuine(m) {
			found = *m
		}
		return nil
	})
	return found, last.Seq, err
}
