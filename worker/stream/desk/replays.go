package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"idlepolicy/messages"
)

// Replays plans the replays of one run. Of several letters of one agent only the newest that can be replayed may be:
// each replay takes effect when it is published, so an older letter would put its policy over the newer one.
type Replays struct {
	desk   *Desk
	force  bool
	newest map[string]*Letter // by agent, as soon as it is known; nil: none of its letters can be replayed
}

// Replays begins a run. With force, it refuses only what cannot be published at all.
func (d *Desk) Replays(force bool) *Replays {
	return &Replays{desk: d, force: force, newest: map[string]*Letter{}}
}

// PlanReplay plans the replay of one letter, as [Replays.Plan] does.
func (d *Desk) PlanReplay(ctx context.Context, seq uint64, force bool) (Replay, error) {
	return d.Replays(force).Plan(ctx, seq)
}

// PlanLast plans the replay of an agent's newest letter that can be replayed. If there is none, it returns the error of the newest
// letter, or ErrNoLetter.
func (d *Desk) PlanLast(ctx context.Context, agent string) (Replay, error) {
	run := d.Replays(false)
	best, err := run.newestOf(ctx, agent)
	switch {
	case err != nil:
		return Replay{}, err
	case best != nil:
		return run.Plan(ctx, best.Seq)
	}
	last, err := d.LastLetter(ctx, agent)
	if err != nil {
		return Replay{}, err
	}
	return run.Plan(ctx, last.Seq)
}

// Plan returns what would be published for a dead letter. The error is a *Refused if that would do harm, and ErrNoLetter if there is
// no such letter.
func (r *Replays) Plan(ctx context.Context, seq uint64) (Replay, error) {
	l, err := r.desk.Letter(ctx, seq)
	if err != nil {
		return Replay{}, err
	}
	plan, err := r.desk.planAlone(l, r.force)
	if err != nil || r.force {
		return plan, err
	}
	if err := r.desk.checkAgain(ctx, plan); err != nil {
		return plan, err
	}
	best, err := r.newestOf(ctx, l.Agent)
	if err != nil {
		return plan, err
	}
	if best != nil && isNewer(best.Result, l.Result) {
		return plan, &Refused{fmt.Sprintf("letter %d holds a newer change of agent %s, %s, which can be replayed", best.Seq, l.Agent, best.Result.ChangeID), true}
	}
	return plan, r.desk.checkNewer(ctx, l)
}

// newestOf returns an agent's newest letter that can be replayed. It caches the answer, so that the older ones are still refused after
// that letter was replayed.
func (r *Replays) newestOf(ctx context.Context, agent string) (*Letter, error) {
	if best, known := r.newest[agent]; known {
		return best, nil
	}
	letters, err := r.desk.failedOf(ctx, agent)
	if err != nil {
		return nil, err
	}
	var best *Letter
	for _, l := range letters {
		err := r.desk.isReplayable(ctx, l.Seq)
		var refused *Refused
		if errors.As(err, &refused) || errors.Is(err, ErrNoLetter) {
			continue
		}
		if err != nil {
			return nil, err
		}
		best = &l
		break
	}
	r.newest[agent] = best
	return best, nil
}

// failedOf lists an agent's letters of failed changes, the newest change first. It gets one after the other rather than read
// the stream: they are few, and the page may not create consumers here.
func (d *Desk) failedOf(ctx context.Context, agent string) (letters []Letter, err error) {
	for seq := uint64(1); ; {
		l, err := d.nextLetter(ctx, agent, seq)
		if errors.Is(err, ErrNoLetter) {
			break
		}
		if err != nil {
			return nil, err
		}
		if l.Result.Outcome == messages.Failed {
			letters = append(letters, Letter{Seq: l.Seq, Agent: l.Agent, Result: l.Result})
		}
		seq = l.Seq + 1
	}
	slices.SortStableFunc(letters, func(a, b Letter) int { return compareEffect(b.Result, a.Result) })
	return letters, nil
}

func (d *Desk) isReplayable(ctx context.Context, seq uint64) error {
	l, err := d.Letter(ctx, seq)
	if err != nil {
		return err
	}
	if _, err := d.planAlone(l, false); err != nil {
		return err
	}
	return d.checkNewer(ctx, l)
}

// planAlone plans a replay by what the letter itself says.
func (d *Desk) planAlone(l Letter, force bool) (Replay, error) {
	r := Replay{Letter: l, ID: replayID(l), msgID: replayID(l)}
	change, err := readLetter(l)
	if err != nil {
		return r, err
	}
	if r.Body, err = replayBody(change, r.ID); err != nil {
		return r, err
	}
	if force {
		r.msgID += "-" + randomText()
		return r, nil
	}
	if l.Result.Outcome != messages.Failed {
		return r, &Refused{fmt.Sprintf("it was %s, not failed", l.Result.Outcome), true}
	}
	if u := change.ValidUntil; !u.IsZero() && !u.After(time.Now()) {
		return r, &Refused{"its valid_until has passed: " + u.Format(time.RFC3339), true}
	}
	return r, nil
}

// InOrder sorts letters by when their changes took effect, so that whoever forces several of one agent gets the newest
// last. Letters that are not there come last.
func (d *Desk) InOrder(ctx context.Context, seqs []uint64) ([]uint64, error) {
	var letters []Letter
	var missing []uint64
	for _, seq := range seqs {
		switch l, err := d.Letter(ctx, seq); {
		case errors.Is(err, ErrNoLetter):
			missing = append(missing, seq)
		case err != nil:
			return nil, err
		default:
			letters = append(letters, Letter{Seq: seq, Result: l.Result})
		}
	}
	slices.SortStableFunc(letters, func(a, b Letter) int { return compareEffect(a.Result, b.Result) })
	sorted := make([]uint64, 0, len(seqs))
	for _, l := range letters {
		sorted = append(sorted, l.Seq)
	}
	return append(sorted, missing...), nil
}
