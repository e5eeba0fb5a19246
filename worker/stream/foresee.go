package stream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	foreseeWithin = 1500 * time.Millisecond // a user who may not ask for the limits gets no answer at all
	leastStore    = 16 << 20                // bytes that an account must have left: a result takes about 1 KB
	ownConsumers  = 6                       // of one site: the one of the changes, and readers that come and go
)

// LeastPayload is the max_payload in bytes that a NATS server needs at least: a dead letter with its headers, and the result in them.
const LeastPayload = 64 << 10

// foresee returns what would keep the server from creating the streams that are missing, before the first of them is created, and what
// is worth knowing about them. It asks for the account's limits; a user who may not read them gets a note saying so.
func (l Layout) foresee(ctx context.Context, js jetstream.JetStream, missing []jetstream.StreamConfig) (notes []string, err error) {
	nc := js.Conn()
	if n := nc.MaxPayload(); n > 0 && n < LeastPayload {
		return nil, fmt.Errorf("the NATS server at %s takes messages of %d bytes at most: set its max_payload to %d or more", Where(nc), n, LeastPayload)
	}
	if len(missing) == 0 {
		return nil, nil
	}
	if l.Replicas > 1 && nc.ConnectedClusterName() == "" && domainOf(nc) == "" {
		return nil, fmt.Errorf("IDLE_REPLICAS=%d: the NATS server at %s is not in a cluster; want 1, or a cluster of %d servers or more",
			l.Replicas, Where(nc), l.Replicas)
	}
	ctx, cancel := context.WithTimeout(ctx, foreseeWithin)
	defer cancel()
	account, err := js.AccountInfo(ctx)
	if err != nil {
		return []string{fmt.Sprintf("the account's limits could not be seen: %v", plain(err))}, nil
	}
	if account.Domain != "" && domainOf(nc) == "" && len(missing) == len(l.streams()) {
		notes = append(notes, fmt.Sprintf("nothing of the site is there yet, and the JetStream of the server at %s is that of the domain %q: if it is "+
			"a leaf node and the site is in the domain behind it, set IDLE_NATS_DOMAIN to that one; if this one is meant, to %q",
			Where(nc), account.Domain, account.Domain))
	}
	used, name := account.Tier, "the account"
	if len(account.Tiers) > 0 {
		tier := "R" + strconv.Itoa(l.Replicas)
		found, ok := account.Tiers[tier]
		if !ok {
			return nil, fmt.Errorf("the account has no JetStream limits for streams of %d replicas: set IDLE_REPLICAS to a number that it has, or have "+
				"limits added for tier %s", l.Replicas, tier)
		}
		used, name = found, "the account, in its tier "+tier+","
	}
	more, err := l.room(used, name, len(missing))
	return append(notes, more...), err
}

// room compares what an account may have with what the streams that are missing need. The sizes that it advises leave room for one more:
// the bucket of idlectl plan.
func (l Layout) room(used jetstream.Tier, account string, missing int) (notes []string, err error) {
	limits := used.Limits
	left := limits.MaxStore - int64(max(used.Store, used.ReservedStore)) //nolint:gosec // bytes of a disk
	switch {
	case limits.MaxStreams > 0 && used.Streams+missing > limits.MaxStreams:
		return nil, fmt.Errorf("%s may have %d streams and has %d, and the site needs %d more: raise its max_streams to %d",
			account, limits.MaxStreams, used.Streams, missing, used.Streams+missing)
	case limits.MaxConsumers > 0 && used.Consumers+ownConsumers > limits.MaxConsumers:
		return nil, fmt.Errorf("%s may have %d consumers and has %d, and the site needs %d: raise its max_consumers to %d",
			account, limits.MaxConsumers, used.Consumers, ownConsumers, used.Consumers+ownConsumers)
	case limits.MaxBytesRequired && l.MaxBytes == 0:
		return nil, fmt.Errorf("%s requires max_bytes of each stream: set IDLE_STREAM_MAX_BYTES", account)
	case limits.StoreMaxStreamBytes > 0 && l.MaxBytes > limits.StoreMaxStreamBytes:
		return nil, fmt.Errorf("IDLE_STREAM_MAX_BYTES=%d: %s may have streams of %d bytes at most", l.MaxBytes, account, limits.StoreMaxStreamBytes)
	case limits.MaxStore == 0:
		return nil, fmt.Errorf("%s may store nothing in files: give it max_file of %d bytes or more", account, leastStore)
	case limits.MaxStore < 0:
		return nil, nil
	case left < leastStore:
		return nil, fmt.Errorf("%s has %d of its %d bytes of storage left, and the site needs %d or more: raise its max_file", account, max(left, 0), limits.MaxStore, leastStore)
	case l.MaxBytes*int64(missing) > left:
		return nil, fmt.Errorf("IDLE_STREAM_MAX_BYTES=%d for %d streams is more than the %d bytes that %s has left: want %d or less, or a larger max_file",
			l.MaxBytes, missing, left, account, left/int64(missing+1))
	case l.MaxBytes == 0:
		notes = append(notes, fmt.Sprintf("%s may store %d bytes, and changes could take the room that results need: set IDLE_STREAM_MAX_BYTES, to %d at most",
			account, limits.MaxStore, left/int64(missing+1)))
	}
	return notes, nil
}

// ledBy returns what is wrong with the server that leads a stream: the one that answers for it is another than the one that is connected,
// and names its version in the stream's metadata if it is not older than 2.11.
func ledBy(info *jetstream.StreamInfo) error {
	const key = "_nats.ver"
	version := info.Config.Metadata[key]
	if isRecent(version) {
		return nil
	}
	leader := "its server"
	if info.Cluster != nil && info.Cluster.Leader != "" {
		leader = "server " + info.Cluster.Leader
	}
	if version == "" {
		version = "older than 2.11"
	}
	return fmt.Errorf("stream %s is led by a NATS server that is too old: %s has version %s; want %d.%d or newer on every server",
		info.Config.Name, leader, version, oldestMajor, oldestMinor)
}

// others names the consumers of the changes that are not ours. A work queue has one reader, and theirs takes messages away from it.
func (l Layout) others(ctx context.Context, js jetstream.JetStream) (err error) {
	stream := l.Names.ChangesStream()
	ctx, cancel := context.WithTimeout(ctx, foreseeWithin)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil
	}
	var names []string
	found := s.ConsumerNames(ctx)
	for name := range found.Name() {
		if name != consumerName {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("stream %s has a consumer that is not the worker's: %s; its messages are for the worker alone, so have whoever made it read %s instead, "+
		"and delete it: nats consumer rm %s %s", stream, strings.Join(names, ", "), l.Names.ResultsStream(), stream, names[0])
}

// windowLimit finds the longest duplicate window that a server allows in its refusal of a longer one.
var windowLimit = regexp.MustCompile(`duplicates window can not be larger then server limit of (\S+)`)

// create creates one stream. If the server allows a shorter duplicate window only, it gets that one: the ledgers know a message that
// comes again later.
func create(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	_, err := js.CreateStream(ctx, want)
	if err == nil {
		return nil
	}
	if m := windowLimit.FindStringSubmatch(err.Error()); m != nil {
		if window, parseErr := time.ParseDuration(m[1]); parseErr == nil && window < want.Duplicates {
			want.Duplicates = window
			_, err = js.CreateStream(ctx, want)
		}
	}
	return err
}

// Codes of the server's refusals that the library has no names for.
const (
	codeNoPeers      jetstream.ErrorCode = 10005
	codeNotClustered jetstream.ErrorCode = 10074
	codeStorage      jetstream.ErrorCode = 10047
	codeAccount      jetstream.ErrorCode = 10002
	codeInsufficient jetstream.ErrorCode = 10023
	codeStoreFailed  jetstream.ErrorCode = 10077
	codeMaxStreams   jetstream.ErrorCode = 10027
	codeMaxConsumers jetstream.ErrorCode = 10026
	codeMaxBytes     jetstream.ErrorCode = 10113
	codeOtherReaders jetstream.ErrorCode = 10099
	codeNotUnique    jetstream.ErrorCode = 10100
)

// remedy returns what would be right if a server refused something for want of room; empty: it refused for another reason. A server whose
// disk is full does not answer at all.
func remedy(err error) string {
	if errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		return "the server does not say that it stored it: is its disk full or slow?"
	}
	answer, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return ""
	}
	switch answer.ErrorCode {
	case codeNoPeers, codeNotClustered:
		return "the cluster needs as many servers as IDLE_REPLICAS says, and room on each"
	case codeStorage, codeAccount, codeInsufficient:
		return "raise the account's max_file or the server's max_file_store, or free its disk"
	case codeStoreFailed:
		if strings.Contains(answer.Description, "maximum") {
			return "the stream has reached its limit: raise its max_bytes with nats stream edit"
		}
		return "the server cannot write: is its disk full?"
	case codeMaxStreams:
		return "raise the account's max_streams"
	case codeMaxConsumers:
		return "raise the account's max_consumers"
	case codeMaxBytes:
		return "set IDLE_STREAM_MAX_BYTES"
	default:
		return ""
	}
}

// denial returns the error for something that the server denied the user of a connection; nil: it denied nothing. The server drops what it
// denies, so that all that the library sees of it is a time-out.
func denial(nc *nats.Conn) error {
	err := nc.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	return deniedError(err)
}

func deniedError(err error) error {
	hint := ""
	if strings.Contains(strings.ToLower(err.Error()), `subscription to "`+strings.ToLower(inboxesName)+".") {
		hint = "; if this user has reply subjects of its own, name their prefix in IDLE_NATS_INBOX_PREFIX"
	}
	return fmt.Errorf("NATS denies the user of this connection something it needs: %w%s", plain(err), hint)
}
