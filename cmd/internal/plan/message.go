package plan

import (
	"encoding/json"
	"iter"
	"strconv"
	"time"

	"idlepolicy/cmd/internal/plan/steps"
)

// item is one change of a message.
type item struct {
	AgentID     string `json:"agent_id"`
	Flag        string `json:"flag,omitempty"`
	ID          string `json:"id"`
	Cancel      bool   `json:"cancel,omitempty"`
	EffectiveAt string `json:"effective_at,omitempty"`
	ValidUntil  string `json:"valid_until,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

// envelope is what the changes of a message have in common.
type envelope struct {
	BatchID    string            `json:"batch_id,omitempty"`
	BatchTotal int               `json:"batch_total,omitempty"`
	Source     string            `json:"source"`
	Changes    []json.RawMessage `json:"changes"`
}

const (
	mostItems = 1000
	mostBytes = 256 << 10 // well below what a server takes by default, 1 MiB
	roomBytes = 4 << 10   // for the headers, and what the changes of a message have in common
)

// mostIn returns how many bytes the changes of a message may have.
func mostIn(s Store) int { return min(mostBytes, s.MaxMessage()-roomBytes) }

// ChangeID returns the id of the change for a step.
func ChangeID(plan, agent string, start int64) string {
	return plan + "/" + agent + "/" + instant(start)
}

func instant(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }

func (d *Difference) item(plan string) item {
	i := item{AgentID: d.Agent, ID: ChangeID(plan, d.Agent, d.Step.Start)}
	if d.Action == Withdraw {
		i.Cancel = true
		return i
	}
	i.Flag, i.EffectiveAt, i.Reason = d.Step.Flag, instant(d.Step.Start), d.Step.Activity
	if d.Step.End != steps.Open {
		i.ValidUntil = instant(d.Step.End)
	}
	return i
}

// messages returns the messages that publish a difference, as one batch. The same difference makes the same messages
// of the same size.
func (d *Diff) messages(plan, batch string, most int) iter.Seq[Message] {
	total := d.Changes()
	return func(yield func(Message) bool) {
		rest := d.All
		for n := 1; len(rest) > 0; n++ {
			m := Message{ID: batch + "-" + strconv.Itoa(n)}
			e := envelope{Source: plan}
			size := 0
			for len(rest) > 0 && len(e.Changes) < mostItems {
				one := &rest[0]
				text, _ := json.Marshal(one.item(plan)) // texts only: never fails
				if size += len(text) + 1; size > most && len(e.Changes) > 0 {
					break
				}
				rest = rest[1:]
				e.Changes = append(e.Changes, text)
				m.Items++
				if one.Action != Withdraw {
					m.Changes++
				}
				if k := len(m.Agents); k == 0 || m.Agents[k-1] != one.Agent {
					m.Agents = append(m.Agents, one.Agent)
				}
			}
			if m.Changes > 0 {
				e.BatchID, e.BatchTotal = batch, total
			}
			m.Body, _ = json.Marshal(e)
			if !yield(m) {
				return
			}
		}
	}
}
