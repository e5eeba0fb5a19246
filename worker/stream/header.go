package stream

import (
	"strings"

	"github.com/nats-io/nats.go"
)

// A NATS server stores any header block that a publisher sends. Client libraries are stricter: nats.go delivers a
// message without any header if it cannot decode one line of the block, and takes some headers for the server's own
// ("Status", "Description", "Nats-Pin-Id", …), whoever wrote them. This file has the two tests that a reader of a
// stream needs instead: what is a stored message, and what is in its block.

// isDelivery reports whether m is a message of a stream. Only those are to be acknowledged under a subject of the
// server; what the server says about a request has no reply subject. The headers say nothing: a publisher may have
// written the same ones.
func isDelivery(m *nats.Msg) bool { return strings.HasPrefix(m.Reply, ackPrefix) }

const ackPrefix = "$JS.ACK."

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
