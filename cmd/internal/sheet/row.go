package sheet

import (
	"encoding/json"
)

// row is one line of a CSV file, with columns named like the fields of a change.
type row struct {
	AgentID     string `json:"agent_id,omitempty"`
	Flag        string `json:"flag,omitempty"`
	ID          string `json:"id,omitempty"`
	BatchID     string `json:"batch_id,omitempty"`
	BatchTotal  int    `json:"batch_total,omitempty"`
	EffectiveAt string `json:"effective_at,omitempty"`
	ValidUntil  string `json:"valid_until,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Source      string `json:"source,omitempty"`

	number int
}

// columns are those that a CSV file may have.
var columns = []string{"agent_id", "flag", "id", "batch_id", "effective_at", "valid_until", "reason", "source"}

func (r *row) field(column string) *string {
	switch column {
	case "agent_id":
		return &r.AgentID
	case "flag":
		return &r.Flag
	case "id":
		return &r.ID
	case "batch_id":
		return &r.BatchID
	case "effective_at":
		return &r.EffectiveAt
	case "valid_until":
		return &r.ValidUntil
	case "reason":
		return &r.Reason
	}
	return &r.Source
}

// fillBatches gives each row the total of its batch: its changes come in many messages.
func (s *Sheet) fillBatches(rows []row, batch string) {
	totals := map[string]int{}
	for i := range rows {
		if batch != "" {
			rows[i].BatchID = batch
		}
		totals[rows[i].BatchID]++
	}
	for i := range rows {
		if id := rows[i].BatchID; id != "" {
			rows[i].BatchTotal = totals[id]
		}
	}
}

// single makes a message of each row.
func (s *Sheet) single(rows []row) {
	for _, r := range rows {
		body, _ := json.Marshal(r)
		s.Messages = append(s.Messages, Message{Line: r.number, Body: body, Agents: []string{r.AgentID}, Changes: 1})
	}
}

const (
	bulkItems = 1000
	bulkBytes = 256 << 10 // well below what a server takes by default, 1 MiB
)

// group puts rows that follow each other, of one batch, into messages with many changes. All of them have been checked.
func (s *Sheet) group(rows []row) {
	for len(rows) > 0 {
		batch, total, m := rows[0].BatchID, rows[0].BatchTotal, Message{Line: rows[0].number}
		var items []json.RawMessage
		seen := map[string]bool{}
		size := 0
		for len(rows) > 0 && rows[0].BatchID == batch && len(items) < bulkItems && size < bulkBytes {
			one := rows[0]
			one.BatchID, one.BatchTotal = "", 0
			body, _ := json.Marshal(one)
			items, rows, size = append(items, body), rows[1:], size+len(body)
			if m.Changes++; !seen[one.AgentID] {
				seen[one.AgentID] = true
				m.Agents = append(m.Agents, one.AgentID)
			}
		}
		m.Body, _ = json.Marshal(struct {
			BatchID    string            `json:"batch_id,omitempty"`
			BatchTotal int               `json:"batch_total,omitempty"`
			Changes    []json.RawMessage `json:"changes"`
		}{batch, total, items})
		s.Messages = append(s.Messages, m)
	}
}
