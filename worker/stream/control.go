package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/gate"
)

// owners is what the control bucket says of the owner: a standby that takes over learns from it whether calls of the
// last owner may still land.
type owners struct {
	Name string `json:"name"`
	Pin  string `json:"pin"`
	// Of two processes that take a pin for theirs, it is the one's that wrote it down first.
	Process  string    `json:"process,omitempty"`
	Format   int       `json:"format,omitempty"` // of the ledgers that it writes
	Since    time.Time `json:"since"`
	Released bool      `json:"released,omitempty"` // it stopped cleanly: nothing of it, or of one before it, may still land
	// Until then, by its own clock, something of the one before it may land.
	HeldUntil time.Time `json:"held_until,omitzero"`
	// What it knew of the gateway's trouble: the next owner keeps to a running Retry-After.
	Gateway gate.Snapshot `json:"gateway,omitzero"`
}

const ownerKey = "owner"

func (o *Owner) readOwners(ctx context.Context) (owners, uint64, error) {
	text, rev, err := readKey(ctx, o.js, o.Layout.Names.ControlBucket(), ownerKey)
	if err != nil {
		return owners{}, 0, fmt.Errorf("read the control bucket: %w", err)
	}
	if text == nil {
		return owners{}, rev, nil
	}
	var last owners
	if err := json.Unmarshal(text, &last); err != nil {
		last = unknownOwner() // written by hand: be careful
	}
	return last, rev, nil
}

// unknownOwner is one of whom nobody knows anything: it may have waited itself for one before it.
func unknownOwner() owners { return owners{Name: "unknown", HeldUntil: time.Now()} }

// withoutRecord returns the last owner where the control bucket says nothing of one: nobody only if there was none, because
// a record that was deleted, with its bucket or without, does not take back what its owner called. Every owner notes the
// life of the stream at the consumer before it calls, and the results outlast the consumer.
func (o *Owner) withoutRecord(ctx context.Context, info *jetstream.ConsumerInfo) (owners, error) {
	if info.Config.Metadata[incarnationsKey] != "" {
		return unknownOwner(), nil
	}
	s, err := o.js.Stream(ctx, o.Layout.Names.ResultsStream())
	if err != nil {
		return owners{}, fmt.Errorf("look at the stream of results: %w", plain(err))
	}
	if s.CachedInfo().State.LastSeq > 0 {
		return unknownOwner(), nil
	}
	return owners{}, nil
}

// writeOwners replaces the record of that revision, 0: none, and returns the new one's. It fails if somebody else has
// written since.
func (o *Owner) writeOwners(ctx context.Context, mine owners, rev uint64) (uint64, error) {
	text, err := json.Marshal(mine)
	if err != nil {
		return 0, err
	}
	if rev, err = writeKey(ctx, o.js, o.Layout.Names.ControlBucket(), ownerKey, text, rev); err != nil {
		return 0, fmt.Errorf("write the owner into the control bucket: %w", err)
	}
	return rev, nil
}
