package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/gate"
)

// owners is the owner's record in the control bucket. A standby that takes over learns from it whether calls of the last owner may
// still take effect.
type owners struct {
	Name string `json:"name"`
	Pin  string `json:"pin"`
	// If two processes take the same pin for theirs, it belongs to the one that recorded it first.
	Process  string    `json:"process,omitempty"`
	Format   int       `json:"format,omitempty"` // of the ledgers that it writes
	Since    time.Time `json:"since"`
	Released bool      `json:"released,omitempty"` // it stopped cleanly: nothing of it, or of one before it, may still land
	// Until then, by its own clock, a call of its predecessor may take effect.
	HeldUntil time.Time `json:"held_until,omitzero"`
	// What it knew about the gateway's trouble. The next owner respects a running Retry-After.
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

// unknownOwner stands for an owner without a record. It may itself have been waiting for calls of its predecessor.
func unknownOwner() owners { return owners{Name: "unknown", HeldUntil: time.Now()} }

// withoutRecord returns the last owner if the control bucket has no record. It returns that there was none only if that is certain,
// because deleting the record or the bucket does not undo an owner's calls. Every owner writes the stream's incarnations to the
// consumer before it makes a call, and results outlast the consumer.
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

// writeOwners replaces the record with that revision, 0 if there is none, and returns the new revision. It fails if another process
// has written since.
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
