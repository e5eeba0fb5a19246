package stream

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// A NATS server stores any header block that a publisher sends. Client libraries are stricter: nats.go delivers a
// message without any header if it cannot decode one line of the block, and takes some headers for the server's own
// ("Status", "Description", "Nats-Pin-Id", …), whoever wrote them. This file has what a reader of a stream needs
// instead: what is a stored message, where it comes from, and what is in its block.

// isDelivery reports whether m is a message of a stream. Only those are to be acknowledged under a subject of the
// server; what the server says about a request has no reply subject. The headers say nothing: a publisher may have
// written the same ones.
func isDelivery(m *nats.Msg) bool { return strings.HasPrefix(m.Reply, ackPrefix) }

const ackPrefix = "$JS.ACK."

// delivered is what the server says about a message that it delivers.
type delivered struct {
	times   uint64 // that it was delivered
	seq     uint64 // in its stream
	count   uint64 // of all that the consumer has delivered
	stored  int64  // when the stream stored it, in Unix nanoseconds
	pending uint64 // messages that were still to come
}

// parseDelivered reads the reply subject of a delivery. It does what [nats.Msg.Metadata] does, but allocates nothing. The subject is
//
//	$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.times.seq.count.stored.pending[.token]
//
// in which newer servers include what is in brackets.
func parseDelivered(reply string) (d delivered, ok bool) {
	rest, ok := strings.CutPrefix(reply, ackPrefix)
	names := 2
	switch dots := strings.Count(rest, "."); {
	case !ok || dots < 6 || dots == 7:
		return delivered{}, false
	case dots > 7:
		names = 4
	}
	for range names {
		_, rest, _ = strings.Cut(rest, ".")
	}
	var n [5]uint64
	for i := range n {
		text, tail, _ := strings.Cut(rest, ".")
		var err error
		if n[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return delivered{}, false
		}
		rest = tail
	}
	return delivered{times: n[0], seq: n[1], count: n[2], stored: int64(n[3]), pending: n[4]}, true
}

// isUndecoded reports whether a message that was received had a header block that nats.go could not decode. [GetMsg]
// reads such a block back.
func isUndecoded(m *nats.Msg) bool {
	return m.Header == nil && m.Size() > len(m.Subject)+len(m.Reply)+len(m.Data)
}

// ParseHeader returns the headers of a block as far as it can be read: what a line without a colon means, nobody knows.
// Names are kept in their letter case, and a status in the first line is not one of the server here.
func ParseHeader(block []byte) nats.Header {
	h := nats.Header{}
	for i, line := range strings.Split(string(block), "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if i == 0 || !ok || name == "" {
			continue
		}
		h[name] = append(h[name], strings.TrimLeft(value, " \t"))
	}
	return h
}
