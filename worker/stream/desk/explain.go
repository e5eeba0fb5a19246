package desk

import (
	"context"
	"errors"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// Explanation is all that is known about one agent.
type Explanation struct {
	Worker  *view.AgentView   `json:"worker"`   // nil: none answers
	InForce *messages.Result  `json:"in_force"` // as the bucket has it; nil: nothing was applied
	Results []messages.Result `json:"results"`

	Events []Event `json:"-"` // the results, with when they were stored
}

// Gather asks the worker about an agent and reads what is stored about it. It does not fail if no worker answers.
func (d *Desk) Gather(ctx context.Context, agent string, last int) (Explanation, error) {
	x := Explanation{Results: []messages.Result{}}
	v, err := d.Explain(ctx, agent)
	var declined *Declined
	switch {
	case err == nil:
		x.Worker = &v
	case !errors.Is(err, ErrNoWorker) && !errors.As(err, &declined):
		return x, err
	}
	if x.InForce, err = d.InForce(ctx, agent); err != nil {
		return x, err
	}
	err = d.Results(ctx, Query{Agent: agent, Last: last}, func(e Event) error {
		x.Events, x.Results = append(x.Events, e), append(x.Results, e.Result)
		return nil
	})
	return x, err
}
