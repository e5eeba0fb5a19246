package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// overlapWithin bounds the check for overlaps: a user who may not list streams gets no answer at all.
const overlapWithin = 1500 * time.Millisecond

// inTheWay fails if a stream of another name has a subject that one of the missing streams needs: the server would refuse that one,
// perhaps after others were created. blind is why the check was not possible; then the server decides.
func inTheWay(ctx context.Context, js jetstream.JetStream, missing []jetstream.StreamConfig) (blind, err error) {
	ctx, cancel := context.WithTimeout(ctx, overlapWithin)
	defer cancel()
	for _, want := range missing {
		for _, subject := range want.Subjects {
			found := js.ListStreams(ctx, jetstream.WithStreamListSubject(subject))
			for info := range found.Info() {
				if err := takes(info.Config, want, subject); err != nil {
					return nil, err
				}
			}
			if err := found.Err(); err != nil {
				return plain(err), nil
			}
		}
	}
	return nil, nil
}

// takes returns an error if an existing stream has a subject of the one that is wanted.
func takes(has, want jetstream.StreamConfig, subject string) error {
	if has.Name == want.Name { // made meanwhile
		return nil
	}
	for _, s := range has.Subjects {
		if !overlap(s, subject) {
			continue
		}
		whose := ""
		if prefix := prefixOf(has.Subjects); prefix != "" && prefix != want.Metadata[markPrefix] {
			whose = ", of another prefix, " + prefix + ","
		}
		return fmt.Errorf("the subject %s, which stream %s needs, %w: %s%s has %s; choose an IDLE_PREFIX that does not meet it",
			subject, want.Name, ErrTaken, has.Name, whose, s)
	}
	return nil
}

// overlap reports whether a message can match both subjects.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return len(as) == len(bs)
}

// prefixOf returns the prefix of the site that a stream belongs to, by its subjects; empty: it does not look like one of ours.
func prefixOf(subjects []string) string {
	for _, s := range subjects {
		if prefix, ok := messages.PrefixOf(s); ok {
			return prefix
		}
	}
	return ""
}

// Foreign returns an error if a stream, or the one behind a bucket, does not belong to the site with these names. A stream without a
// recorded prefix was created by somebody else.
func Foreign(has jetstream.StreamConfig, names messages.Names) error {
	if whose := has.Metadata[markPrefix]; whose != "" && whose != names.Prefix {
		return fmt.Errorf("stream %s %w, %s; want that as IDLE_PREFIX, or one of your own", has.Name, ErrForeign, whose)
	}
	return nil
}

// isOverlap reports whether the server refused a stream because of its subjects; the library has no name for that error.
func isOverlap(err error) bool {
	const subjectsOverlap jetstream.ErrorCode = 10065
	answer, ok := errors.AsType[*jetstream.APIError](err)
	return ok && answer.ErrorCode == subjectsOverlap
}
