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

	"idlepolicy/cmd/internal/file"
	"idlepolicy/messages"
)

// table is a CSV file that is being read.
type table struct {
	*csv.Reader
	before int // lines before what the reader reads
}

func newTable(name string, data []byte) table {
	text, separator := file.CutSeparatorLine(data)
	if !bytes.ContainsRune(text, '\n') { // lines end as on a classic Mac, which Excel still offers
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	t := table{Reader: csv.NewReader(bytes.NewReader(text))}
	switch {
	case separator != 0:
		t.before = 1
	case strings.EqualFold(filepath.Ext(name), ".tsv"):
		separator = '\t'
	default:
		separator = file.Separator(text)
	}
	t.Comma = separator
	t.FieldsPerRecord = -1 // spreadsheets write empty columns beside a table, and not in every row
	return t
}

// line returns the line on which a field of the last record begins.
func (t table) line(field int) int {
	n, _ := t.FieldPos(field)
	return t.before + n
}

func (s *Sheet) readCSV(data []byte, st Stamp) {
	t := newTable(s.Name, data)
	header, err := t.Read()
	if err != nil {
		s.faultCSV(t, err)
		return
	}
	names, ok := s.readHeader(header, t.before+1, st)
	if !ok {
		return // every line would be wrong for the same reason
	}
	var rows []row
	for {
		record, err := t.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.faultCSV(t, err)
			continue
		}
		if one, ok := s.readRow(record, names, t.line(0)); ok {
			s.checkRow(&one, names)
			rows = append(rows, one)
		}
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

func (s *Sheet) faultCSV(t table, err error) {
	var wrong *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		s.fault(1, "", "the file is empty; want a header line with agent_id and flag")
	case errors.As(err, &wrong) && errors.Is(wrong.Err, csv.ErrBareQuote):
		s.fault(t.before+wrong.Line, "", fmt.Sprintf("character %d: a quote inside a value; put the whole value in quotes and write each quote in it twice, "+
			"or export values instead of formulas", wrong.Column))
	case errors.As(err, &wrong):
		s.fault(t.before+wrong.Line, "", fmt.Sprintf("character %d: %v", wrong.Column, wrong.Err))
	default:
		s.fault(1, "", err.Error())
	}
}

// readHeader returns the names of the columns, without those that are empty at the end.
func (s *Sheet) readHeader(header []string, line int, st Stamp) (names []string, ok bool) {
	for _, h := range trimEnd(header) {
		names = append(names, strings.TrimSpace(h))
	}
	if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(columns, name) }) && len(names) > 2 {
		s.fault(line, "", fmt.Sprintf("no column has a name of a change's field (agent_id, flag, …), the first is %.40q; "+
			"a file with columns of its own is read by idlectl plan", names[0]))
		return nil, false
	}
	for i, name := range names {
		switch {
		case name == "":
			s.faultInColumn(line, i+1, strconv.Itoa(i+1), "has no name, but stands between others that have one; delete it or name it")
		case !slices.Contains(columns, name):
			s.faultInColumn(line, i+1, strconv.Quote(name), "unknown; want "+strings.Join(columns, ", "))
		case slices.Contains(names[:i], name):
			s.faultInColumn(line, i+1, name, "given twice")
		case name == "batch_id" && st.Batch != "":
			s.faultInColumn(line, i+1, name, "given here and with --batch; want one of them")
		}
	}
	for _, needed := range columns[:2] {
		if !slices.Contains(names, needed) {
			s.faultInColumn(line, len(names)+1, needed, "missing; the first line names the columns")
		}
	}
	return names, len(s.Problems) == 0
}

// trimEnd drops the empty cells at the end of a record.
func trimEnd(record []string) []string {
	for len(record) > 0 && strings.TrimSpace(record[len(record)-1]) == "" {
		record = record[:len(record)-1]
	}
	return record
}

// readRow returns false if there is nothing in the row, or if it is not a change.
func (s *Sheet) readRow(record, names []string, line int) (r row, ok bool) {
	filled := trimEnd(record)
	switch {
	case len(filled) == 0:
		return r, false
	case len(filled) == 1 && len(names) > 1 && strings.Trim(filled[0], "0123456789 ") != "":
		s.faultInColumn(line, 1, names[0], fmt.Sprintf(
			"%.40q stands alone in its row: a total or another summary, not a change; delete the row", strings.TrimSpace(filled[0])))
		return r, false
	case len(record) < len(names), len(filled) > len(names):
		s.fault(line, "", fmt.Sprintf("another number of columns than the header has: %d, not %d", len(record), len(names)))
		return r, false
	}
	r.number = line
	for i, name := range names {
		*r.field(name) = strings.TrimSpace(record[i])
	}
	r.EffectiveAt, r.ValidUntil = plainInstant(r.EffectiveAt), plainInstant(r.ValidUntil)
	return r, true
}

// checkRow judges the row as the change that it will be.
func (s *Sheet) checkRow(r *row, names []string) {
	body, _ := json.Marshal(r) // strings only: never fails
	m := messages.Decode(body, "x")
	for _, bad := range m.Rejected {
		field, text := splitRejection(bad)
		s.faultInColumn(r.number, slices.Index(names, field)+1, field, text)
	}
	for i := range m.Changes {
		s.note(&m.Changes[i], r.number, "x")
	}
	if isNothing(r.BatchID) {
		s.faultInColumn(r.number, slices.Index(names, "batch_id")+1, "batch_id",
			fmt.Sprintf("%q stands for nothing in the program that wrote the file; leave it out", r.BatchID))
	}
}
