package stream

import (
	"encoding/base64"
	"strings"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// headerRoom is what the original's headers may take of a letter: the server takes 64 KiB of headers, and the result
// must fit beside them.
const headerRoom = 20 << 10

// keepHeaders returns the headers of a dead letter for the block of its original, and reports whether some of it did not
// fit. What can be a header of the letter is one. If anything cannot, the block itself is kept beside it, encoded.
func keepHeaders(block []byte) (h nats.Header, cut bool) {
	h = nats.Header{}
	if len(block) == 0 {
		return h, false
	}
	room := headerRoom
	all, whole := ParseHeader(block), isWhole(block)
	for name, values := range all {
		if !isSafe(name) {
			whole = false
			continue
		}
		as, size := deadName(name), 0
		for _, value := range values {
			size += len(as) + len(value) + len(": \r\n")
		}
		if size > room {
			cut = true
			continue
		}
		room -= size
		h[as] = values
	}
	if whole {
		return h, cut
	}
	if most := base64.StdEncoding.DecodedLen(headerRoom); len(block) > most {
		block, cut = block[:most], true
	}
	h[messages.HeadersHeader] = []string{base64.StdEncoding.EncodeToString(block)}
	return h, cut
}

// isWhole reports whether parseHeader and a client that sends its headers again lose nothing of a block.
func isWhole(block []byte) bool {
	if string(block) == "NATS/1.0\r\n\r\n" {
		return true
	}
	text, ok := strings.CutPrefix(string(block), "NATS/1.0\r\n")
	text, ended := strings.CutSuffix(text, "\r\n\r\n")
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, colon := strings.Cut(line, ":")
		if !colon || name == "" || strings.ContainsAny(line, "\r\n\x00") || strings.TrimSpace(value) != strings.TrimPrefix(value, " ") {
			return false
		}
	}
	return ok && ended
}

// isSafe reports whether clients send a header of that name as it is, and nobody takes it for a word of the server or of
// ours.
func isSafe(name string) bool {
	const refused = "\"()/,:;<=>?@[\\]{}" // by nats.go, as not part of a token
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || strings.IndexByte(refused, c) >= 0 {
			return false
		}
	}
	return name != "Status" && name != "Description" && !hasPrefixFold(name, "Idle-")
}

// deadName keeps headers of the original that mean something to a server from acting once more.
func deadName(name string) string {
	if hasPrefixFold(name, "Nats-") {
		return "Idle-" + name
	}
	return name
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
