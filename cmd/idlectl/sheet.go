package main

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

// sheet is a file of changes, read and checked as a whole before anything of it is published.
type sheet struct {
	name     string
	messages []line
	problems []problem
}

// line is one message to publish.
type line struct {
	number  int // where it stands in the file, from 1
	body    []byte
	agents  []string
	changes int // without cancels, which have no ending of their own
}

// problem is one thing in the file that cannot be used.
type problem struct {
	line   int
	column string // empty: not known
	text   string
}

func (p problem) in(name string) string {
	if p.column != "" {
		return fmt.Sprintf("%s:%d: column %s: %s", name, p.line, p.column, p.text)
	}
	return fmt.Sprintf("%s:%d: %s", name, p.line, p.text)
}

// stamp is what publish adds to the changes of a file.
type stamp struct {
	batch string // empty: none
	bulk  bool   // lines of a CSV file are put together
}

// The formats.
const (
	formatCSV   = "csv"
	formatJSONL = "jsonl"
	formatJSON  = "json"
)

// readSheet reads a file in a format; empty: by its name, else by its first characters.
func readSheet(name, format string, data []byte, st stamp) (*sheet, error) {
	s := &sheet{name: name}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // spreadsheets put it there
	if format == "" {
		format = formatOf(name, data)
	}
	if st.bulk && format != formatCSV {
		return nil, unusablef("--bulk puts the lines of a CSV file together, and %s is %s", name, strings.ToUpper(format))
	}
	if n := notUTF8(data); n > 0 {
		s.fault(n, "", "not UTF-8: save the file with that encoding")
		return s, nil
	}
	switch format {
	case formatCSV:
		s.readCSV(data, st)
	case formatJSONL:
		s.readJSONL(data, st)
	case formatJSON:
		s.readJSON(data, st)
	default:
		return nil, unusablef("--format %q: want csv, jsonl or json", format)
	}
	if len(s.messages) == 0 && len(s.problems) == 0 {
		s.fault(1, "", "the file holds no changes")
	}
	return s, nil
}

func formatOf(name string, data []byte) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv":
		return formatCSV
	case ".jsonl", ".ndjson":
		return formatJSONL
	case ".json":
		return formatJSON
	}
	start := bytes.TrimSpace(data)
	switch {
	case len(start) == 0 || start[0] != '{' && start[0] != '[':
		return formatCSV
	case json.Valid(data):
		return formatJSON
	}
	return formatJSONL
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

func (s *sheet) fault(line int, column, text string) {
	s.problems = append(s.problems, problem{line, column, text})
}

// readJSONL reads one message a line.
func (s *sheet) readJSONL(data []byte, st stamp) {
	n := 0
	for l := range bytes.Lines(data) {
		if n++; len(bytes.TrimSpace(l)) > 0 {
			s.add(n, bytes.TrimSpace(l), st.batch, func(messages.Rejection) int { return n })
		}
	}
	s.stampAll(st.batch)
}

// readJSON reads one message; its items stand on lines of their own.
func (s *sheet) readJSON(data []byte, st stamp) {
	s.add(1, bytes.TrimSpace(data), st.batch, func(r messages.Rejection) int { return lineOfItem(data, r) })
	s.stampAll(st.batch)
}

// add checks a message and notes where its faults are.
func (s *sheet) add(number int, body []byte, batch string, where func(messages.Rejection) int) {
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
	l := line{number: number, body: body}
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		if !c.Cancel {
			l.changes++
		}
		if !seen[c.AgentID] {
			seen[c.AgentID] = true
			l.agents = append(l.agents, c.AgentID)
		}
	}
	s.messages = append(s.messages, l)
}

// stampAll makes all messages one batch, which is complete when all their changes have ended.
func (s *sheet) stampAll(batch string) {
	total := s.changes()
	if batch == "" || len(s.problems) > 0 {
		return
	}
	if total == 0 {
		s.fault(1, "", "a file that only withdraws changes is no batch")
		return
	}
	for i := range s.messages {
		l := &s.messages[i]
		l.body = withBatch(l.body, batch, total)
		for _, c := range messages.Decode(l.body, "x").Changes {
			if !c.Cancel && (c.BatchID != batch || c.BatchTotal != total) {
				s.fault(l.number, "", "batch_total: given here and with --batch, which sets it; want one of them")
				break
			}
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

// changes is how many changes the file has.
func (s *sheet) changes() int {
	n := 0
	for _, l := range s.messages {
		n += l.changes
	}
	return n
}
