package desk

import (
	"context"
	"slices"
	"time"

	"idlepolicy/messages"
)

// Expected has the number of changes whose endings are awaited, by the sequence of their message.
type Expected map[uint64]int

// Since says from where on their results are looked for.
type Since struct {
	After uint64 // results up to this sequence are older
	Older bool   // some were published before: look back as far as the server knows a message again
}

// lookBack is the server's duplicate window, and some more for clocks that differ.
const lookBack = 15 * time.Minute

// Endings calls each with the ending of each expected change, until all have ended or ctx ends. Each change has exactly one.
func (d *Desk) Endings(ctx context.Context, expected Expected, since Since, each func(Event) error) error {
	q := Query{Live: true, Seq: since.After + 1, Outcomes: endings}
	if since.Older {
		q.Seq, q.Since = 0, time.Now().Add(-lookBack)
	}
	if len(expected) == 0 {
		return nil
	}
	return d.Results(ctx, q, func(e Event) error {
		left, ours := expected[e.ChangeSeq]
		if !ours {
			return nil
		}
		if err := each(e); err != nil {
			return err
		}
		if left > 1 {
			expected[e.ChangeSeq] = left - 1
			return nil
		}
		if delete(expected, e.ChangeSeq); len(expected) == 0 {
			return errEnough
		}
		return nil
	})
}

var endings = slices.DeleteFunc(messages.Outcomes(), func(o messages.Outcome) bool { return !o.Ends() })
