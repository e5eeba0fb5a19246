package rows

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"idlepolicy/cmd/internal/file"
)

// table finds the fields of a row by the header of its columns.
type table struct {
	spec    Spec
	columns []int // of each field; nil: the header has not been found yet
	seen    int   // rows before the header
	first   []string
	skipped int // rows behind the header
	values  []Value
}

// headerWithin is how many rows a title above the header may have.
const headerWithin = 20

// read passes a row on, unless it belongs to what stands above the data, or is empty.
func (t *table) read(cells []string, place string, pass func(int, string) Value, each func(Row) error) error {
	if len(cells) > maxColumns {
		return fmt.Errorf("a row has more than %d columns: is it the right file?", maxColumns)
	}
	switch {
	case t.columns == nil:
		return t.findHeader(cells)
	case t.skipped < t.spec.Skip:
		t.skipped++
		return nil
	}
	empty := true
	for i, c := range t.columns {
		t.values[i] = Value{}
		if c < len(cells) {
			t.values[i] = pass(c, strings.TrimSpace(cells[c]))
			empty = empty && t.values[i].Text == ""
		}
	}
	if empty {
		return nil
	}
	return each(Row{Place: place, Values: t.values})
}

// findHeader takes the first row that has all columns for the header.
func (t *table) findHeader(cells []string) error {
	names := make([]string, len(cells))
	filled := 0
	for i, c := range cells {
		if names[i] = strings.TrimSpace(c); names[i] != "" {
			filled++
		}
	}
	columns := make([]int, len(t.spec.Fields))
	for i, field := range t.spec.Fields {
		if columns[i] = slices.Index(names, field); columns[i] < 0 {
			if filled > 0 && len(t.first) == 0 {
				t.first = slices.DeleteFunc(names, func(s string) bool { return s == "" })
			}
			if t.seen++; t.seen == headerWithin {
				return t.missing()
			}
			return nil
		}
	}
	t.columns, t.values = columns, make([]Value, len(columns))
	return nil
}

// missing returns the error about a table in which no row has all columns.
func (t *table) missing() error {
	for _, field := range t.spec.Fields {
		if !slices.Contains(t.first, field) {
			return &ColumnError{field, t.first}
		}
	}
	return errors.New("the file has no header with the columns of the map")
}

// end returns what is wrong with a table that has ended.
func (t *table) end() error {
	if t.columns == nil {
		return t.missing()
	}
	return nil
}

func readCSV(text io.Reader, s Spec, each func(Row) error) error {
	limit := &limited{r: text, left: maxRecord, what: "a row"}
	b := bufio.NewReaderSize(limit, 64<<10)
	head, _ := b.Peek(64 << 10) // an error comes again with the first row
	before := 0
	rest, separator := file.CutSeparatorLine(head)
	if separator != 0 {
		_, _ = b.Discard(len(head) - len(rest)) // buffered: never fails
		before = 1
	} else {
		separator = file.Separator(preambleCut(head, s.Fields))
	}
	c := csv.NewReader(b)
	c.Comma, c.FieldsPerRecord, c.ReuseRecord, c.LazyQuotes = separator, -1, true, false
	t := table{spec: s}
	for {
		limit.renew()
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return t.end()
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return fmt.Errorf("line %d, character %d: %w", before+wrong.Line, wrong.Column, wrong.Err)
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		err = t.read(cells, "", plain, func(r Row) error {
			r.Place = fmt.Sprint("line ", before+line)
			return each(r)
		})
		if err != nil {
			return err
		}
	}
}

func plain(_ int, text string) Value { return Value{Text: text} }

// preambleCut drops what stands above the first line that names a field, so that the separator is found in the header.
func preambleCut(head []byte, fields []string) []byte {
	rest := head
	for range headerWithin {
		line, after, more := bytes.Cut(rest, []byte("\n"))
		for _, field := range fields {
			if bytes.Contains(line, []byte(field)) {
				return rest
			}
		}
		if !more {
			break
		}
		rest = after
	}
	return head
}
