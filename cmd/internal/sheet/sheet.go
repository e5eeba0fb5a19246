package sheet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"idlepolicy/messages"
)

// Sheet is a file of changes, read and checked as a whole before anything of it is published.
type Sheet struct {
	Name     string
	Messages []Message
	Problems []Problem
}

// Message is one message to publish.
type Message struct {
	Line    int // where it stands in the file, from 1
	Body    []byte
	Agents  []string
	Changes int // without cancels, which have no ending of their own
}

// Problem is one thing in the file that cannot be used.
type Problem struct {
	Line   int
	Column string // empty: not known
	Text   string
}

// In says it with the name of the file, as compilers do.
func (p Problem) In(name string) string {
	if p.Column != "" {
		return fmt.Sprintf("%s:%d: column %s: %s", name, p.Line, p.Column, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", name, p.Line, p.Text)
}

// Stamp is what a publisher adds to the changes of a file.
type Stamp struct {
	Batch string // empty: none
	Bulk  bool   // lines of a CSV file are put together
}

// The formats.
const (
	CSV   = "csv"
	JSONL = "jsonl"
	JSON  = "json"
)

// Read reads a file in a format; empty: by its name, else by its first characters.
func Read(name, format string, data []byte, st Stamp) (*Sheet, error) {
	s := &Sheet{Name: name}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // spreadsheets put it there
	if format == "" {
		format = formatOf(name, data)
	}
	if st.Bulk && format != CSV {
		return nil, fmt.Errorf("--bulk puts the lines of a CSV file together, and %s is %s", name, strings.ToUpper(format))
	}
	if n := notUTF8(data); n > 0 {
		s.fault(n, "", "not UTF-8: save the file with that encoding")
		return s, nil
	}
	switch format {
	case CSV:
		s.readCSV(data, st)
	case JSONL:
		s.readJSONL(data, st)
	case JSON:
		s.readJSON(data, st)
	default:
		return nil, fmt.Errorf("--format %q: want csv, jsonl or json", format)
	}
	if len(s.Messages) == 0 && len(s.Problems) == 0 {
		s.fault(1, "", "the file holds no changes")
	}
	return s, nil
}

func formatOf(name string, data []byte) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv":
		return CSV
	case ".jsonl", ".ndjson":
		return JSONL
	case ".json":
		return JSON
	}
	start := bytes.TrimSpace(data)
	switch {
	case len(start) == 0 || start[0] != '{' && start[0] != '[':
		return CSV
	case json.Valid(data):
		return JSON
	}
	return JSONL
}

// notUTF8 returns the first line that is not UTF-8; 0: there is none.
func notUTF8(data []byte) int {
	if utf8.Valid(data) {
		return 0
	}
	n := 0
	for l := range bytes.Lines(data) {
		if n++; !utf8.Valid(l) {
			return n
		}
	}
	return n
}

func (s *Sheet) fault(line int, column, text string) {
	s.Problems = append(s.Problems, Problem{line, column, text})
}

// readJSONL reads one message a line.
func (s *Sheet) readJSONL(data []byte, st Stamp) {
	n := 0
	for l := range bytes.Lines(data) {
		if n++; len(bytes.TrimSpace(l)) > 0 {
			s.add(n, bytes.TrimSpace(l), st.Batch, func(messages.Rejection) int { return n })
		}
	}
	s.stampAll(st.Batch)
}

// readJSON reads one message; its items stand on lines of their own.
func (s *Sheet) readJSON(data []byte, st Stamp) {
	s.add(1, bytes.TrimSpace(data), st.Batch, func(r messages.Rejection) int { return lineOfItem(data, r) })
	s.stampAll(st.Batch)
}

// add checks a message and notes where its faults are.
func (s *Sheet) add(number int, body []byte, batch string, where func(messages.Rejection) int) {
	m := messages.Decode(body, "line-"+strconv.Itoa(number))
	for _, r := range m.Rejected {
		text := r.Message
		if m.Items > 1 {
			text = fmt.Sprintf("item %d: %s", r.Index+1, text)
		}
		s.fault(where(r), "", text)
	}
	if i := slices.IndexFunc(m.Changes, func(c messages.Change) bool { return c.BatchID != "" }); i >= 0 && batch != "" {
		s.fault(number, "", "batch_id: given here and with --batch; want one of them")
	}
	l := Message{Line: number, Body: body}
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		if !c.Cancel {
			l.Changes++
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
		s.fault(1, "", "a file that only withdraws changes is no batch")
		return
	}
	for i := range s.Messages {
		l := &s.Messages[i]
		l.Body = withBatch(l.Body, batch, total)
		for _, c := range messages.Decode(l.Body, "x").Changes {
			if c.Cancel || c.BatchID == batch && c.BatchTotal == total {
				continue
			}
			why := "batch_total: given here and with --batch, which sets it; want one of them"
			if c.BatchID == "" { // what stands outside the data of a CloudEvent is the envelope's
				why = "--batch does not reach into a CloudEvent; want batch_id and batch_total in its data instead"
			}
			s.fault(l.Line, "", why)
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

// Changes is how many changes the file has.
func (s *Sheet) Changes() int {
	n := 0
	for _, l := range s.Messages {
		n += l.Changes
	}
	return n
}
