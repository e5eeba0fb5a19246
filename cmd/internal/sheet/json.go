package sheet

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"idlepolicy/messages"
)

// readJSONL reads one message from each line.
func (s *Sheet) readJSONL(data []byte, st Stamp) {
	n := 0
	for l := range bytes.Lines(data) {
		if n++; len(bytes.TrimSpace(l)) > 0 {
			s.add(n, bytes.TrimSpace(l), st.Batch, func(int) int { return n })
		}
	}
	s.stampAll(st.Batch)
}

// readJSON reads one message, whose items stand on lines of their own.
func (s *Sheet) readJSON(data []byte, st Stamp) {
	lines := linesOfItems(data)
	s.add(1, bytes.TrimSpace(data), st.Batch, func(item int) int {
		if item < len(lines) {
			return lines[item]
		}
		return 1
	})
	s.stampAll(st.Batch)
}

// add checks a message and notes where its faults are. Where returns the line of an item, which is counted from 0.
func (s *Sheet) add(number int, body []byte, batch string, where func(item int) int) {
	m := messages.Decode(body, "line-"+strconv.Itoa(number))
	for _, r := range m.Rejected {
		p := Problem{Line: where(r.Index)}
		p.Field, p.Message = splitRejection(r)
		if m.Items > 1 {
			p.item = r.Index + 1
		}
		s.Problems = append(s.Problems, p)
	}
	if i := slices.IndexFunc(m.Changes, func(c messages.Change) bool { return c.BatchID != "" }); i >= 0 && batch != "" {
		s.fault(number, "batch_id", "given here and with --batch; want one of them")
	}
	l := Message{Line: number, Body: body}
	seen := make(map[string]bool, len(m.Changes))
	for i := range m.Changes {
		c := &m.Changes[i]
		if !c.Cancel {
			l.Changes++
			s.note(c, where(c.Index), "line-"+strconv.Itoa(number))
		}
		if !seen[c.AgentID] {
			seen[c.AgentID] = true
			l.Agents = append(l.Agents, c.AgentID)
		}
	}
	s.Messages = append(s.Messages, l)
}

// stampAll makes all messages one batch, which is complete when all their changes have ended.
func (s *Sheet) stampAll(batch string) {
	total := s.Changes()
	if batch == "" || len(s.Problems) > 0 {
		return
	}
	if total == 0 {
		s.fault(1, "", "the file only withdraws changes, and a batch needs at least one change; leave --batch out")
		return
	}
	for i := range s.Messages {
		l := &s.Messages[i]
		l.Body = withBatch(l.Body, batch, total)
		for _, c := range messages.Decode(l.Body, "x").Changes {
			if c.Cancel || c.BatchID == batch && c.BatchTotal == total {
				continue
			}
			field, why := "batch_total", "given here and with --batch, which sets it; want one of them"
			if c.BatchID == "" { // what stands outside the data of a CloudEvent is the envelope's
				field, why = "", "--batch does not reach into a CloudEvent; want batch_id and batch_total in its data instead"
			}
			s.fault(l.Line, field, why)
			break
		}
	}
}

// withBatch puts the batch before everything else in a message, which stays as it is otherwise.
func withBatch(body []byte, batch string, total int) []byte {
	head := fmt.Sprintf(`{"batch_id":%q,"batch_total":%d,`, batch, total)
	if body[0] == '[' {
		return slices.Concat([]byte(head+`"changes":`), body, []byte("}"))
	}
	return append([]byte(head), body[1:]...)
}
