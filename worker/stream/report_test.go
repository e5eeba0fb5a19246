package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
)

// What a stranger wrote into a header is read back from the stream, and is no trouble of the connection.
func TestUndecodedHeadersAreNoWarning(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{{nats.ErrBadHeaderMsg, 0}, {errors.New("slow consumer"), 1}} {
		var log bytes.Buffer
		seen := new(reports)
		for range 3 {
			logAsync(slog.New(slog.NewTextHandler(&log, nil)), seen, &nats.Subscription{Subject: "_INBOX.x"}, c.err)
		}
		if got := bytes.Count(log.Bytes(), []byte("\n")); got != c.want {
			t.Errorf("%v: %d lines, want %d:\n%s", c.err, got, c.want, &log)
		}
	}
}
