package sheet

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"idlepolicy/messages"
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

func (s *Sheet) readCSV(data []byte, st Stamp) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma = separator(s.Name, data)
	header, err := r.Read()
	if err != nil {
		s.faultCSV(err)
		return
	}
	names, ok := s.readHeader(header, st)
	if !ok {
		return // every line would be wrong for the same reason
	}
	var rows []row
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.faultCSV(err)
			continue
		}
		n, _ := r.FieldPos(0)
		one := row{number: n}
		for i, value := range record {
			*one.field(names[i]) = strings.TrimSpace(value)
		}
		s.checkRow(one)
		rows = append(rows, one)
	}
	if len(s.Problems) > 0 {
		return
	}
	s.fillBatches(rows, st.Batch)
	if st.Bulk {
		s.group(rows)
	} else {
		s.single(rows)
	}
}

// separator is what parts the columns: some spreadsheets write semicolons, where a comma stands in numbers.
func separator(name string, data []byte) rune {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	switch {
	case strings.EqualFold(filepath.Ext(name), ".tsv"), bytes.ContainsRune(first, '\t'):
		return '\t'
	case bytes.ContainsRune(first, ';') && !bytes.ContainsRune(first, ','):
		return ';'
	}
	return ','
}

func (s *Sheet) faultCSV(err error) {
	var wrong *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		s.fault(1, "", "the file is empty; want a header line with agent_id and flag")
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrFieldCount):
		s.fault(wrong.Line, "", "another number of columns than the header has")
	case errors.As(err, &wrong):
		s.fault(wrong.Line, "", fmt.Sprintf("character %d: %v", wrong.Column, wrong.Err))
	default:
		s.fault(1, "", err.Error())
	}
}

func (s *Sheet) readHeader(header []string, st Stamp) (names []string, ok bool) {
	for _, h := range header {
		name := strings.TrimSpace(h)
		switch {
		case !slices.Contains(columns, name):
			s.fault(1, strconv.Quote(name), "unknown; want "+strings.Join(columns, ", "))
		case slices.Contains(names, name):
			s.fault(1, name, "given twice")
		case name == "batch_id" && st.Batch != "":
			s.fault(1, name, "given here and with --batch; want one of them")
		}
		names = append(names, name)
	}
	for _, needed := range columns[:2] {
		if !slices.Contains(names, needed) {
			s.fault(1, needed, "missing; the first line names the columns")
		}
	}
	return names, len(s.Problems) == 0
}

// checkRow has the row judged as the change that it will be.
func (s *Sheet) checkRow(r row) {
	body, _ := json.Marshal(r) // strings only: never fails
	for _, bad := range messages.Decode(body, "x").Rejected {
		column, text, ok := strings.Cut(bad.Message, ": ")
		if !ok || !slices.Contains(columns, column) {
			column, text = "", bad.Message
		}
		s.fault(r.number, column, text)
	}
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

// group puts rows that follow each other, of one batch, into messages with many changes.
func (s *Sheet) group(rows []row) {
	for len(rows) > 0 {
		batch, total, number := rows[0].BatchID, rows[0].BatchTotal, rows[0].number
		var items []json.RawMessage
		size := 0
		for len(rows) > 0 && rows[0].BatchID == batch && len(items) < bulkItems && size < bulkBytes {
			one := rows[0]
			one.BatchID, one.BatchTotal = "", 0
			body, _ := json.Marshal(one)
			items, rows, size = append(items, body), rows[1:], size+len(body)
		}
		body, _ := json.Marshal(struct {
			BatchID    string            `json:"batch_id,omitempty"`
			BatchTotal int               `json:"batch_total,omitempty"`
			Changes    []json.RawMessage `json:"changes"`
		}{batch, total, items})
		s.add(number, body, "", func(messages.Rejection) int { return number })
	}
}
