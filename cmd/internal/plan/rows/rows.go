// Package rows reads files of schedules: CSV, Excel workbooks, JSON, NDJSON, XML and iCalendar. Each becomes rows of named
// fields with their place in the file. Files are streamed where they can be large, and what is held of one at a time is
// bounded, whatever is in it.
//
// A field is named by a path. In a table it is the name of a column. In JSON it is the names of members, separated by dots;
// in XML the names of elements, separated by slashes, and @name for an attribute; in iCalendar the name of a property. In
// JSON and XML "../" goes to what encloses the row, and a path that begins with "/" starts at the top of the file.
package rows

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"idlepolicy/cmd/internal/file"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	CSV      Format = "csv"
	Workbook Format = "xlsx"
	JSON     Format = "json"
	NDJSON   Format = "ndjson"
	XML      Format = "xml"
	Calendar Format = "ics"
)

// Formats are all of them.
var Formats = []Format{CSV, Workbook, JSON, NDJSON, XML, Calendar}

// Value is what a field of a row holds.
type Value struct {
	Text   string // trimmed; empty: missing
	Number bool   // it came as a number, not as text
	Serial bool   // a number in a cell of a workbook, which may be a date: see Base
	Zone   string // the time zone that the file names for this very value
}

// Row is one row. Its values belong to the reader, which uses them again for the next row.
type Row struct {
	Place  string // such as "line 17" or "sheet Roster, row 4"
	Values []Value
}

// Spec says what to read.
type Spec struct {
	Format Format    // empty: by content
	Name   string    // of the file; used only if the content does not tell JSON from NDJSON
	Rows   []string  // where the rows are: paths in JSON and XML, a sheet in a workbook; empty: at the top
	Skip   int       // rows behind the header of a table that are not data
	Fields []string  // the paths of the values of each row
	Until  time.Time // repetitions in a calendar end here; zero: a year after they begin
}

// Bounds. What is larger is refused with one sentence.
const (
	maxRecord  = 16 << 20  // bytes of a row, or of an element of JSON or XML
	maxColumns = 16384     // as in Excel
	maxDepth   = 64        // of elements in elements
	maxWhole   = 256 << 20 // bytes of a file that has to be held as a whole: a workbook, a calendar
	maxBytes   = 8 << 30   // bytes of any file
)

// ErrColumn is wrapped by the error about a field that no row can have.
var ErrColumn = errors.New("no such column")

// ColumnError names a column that a table lacks.
type ColumnError struct {
	Column string
	Has    []string // what the table has instead
}

// Error says which column is missing.
func (e *ColumnError) Error() string {
	return fmt.Sprintf("there is no column %q; the header has %s", e.Column, shownList(e.Has))
}

// Unwrap returns [ErrColumn].
func (e *ColumnError) Unwrap() error { return ErrColumn }

func shownList(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == 12 {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.40q", name)
	}
	return b.String()
}

// Read calls each for every row, in the order of the file. It ends with the first error, of the file or of each. What it
// returns besides is the format that it found.
func Read(r io.Reader, s Spec, each func(Row) error) (Format, error) {
	b := bufio.NewReaderSize(&limited{r: r, left: maxBytes, what: "the file"}, file.HeadSize)
	head, err := b.Peek(file.HeadSize)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return s.Format, err
	}
	if len(head) == 0 {
		return s.Format, errors.New("the file is empty")
	}
	kind := file.Sniff(head)
	if s.Format == "" {
		if s.Format, err = formatOf(kind, s.Name); err != nil {
			return "", err
		}
	}
	if err := s.fits(kind); err != nil {
		return s.Format, err
	}
	if s.Format == Workbook {
		return s.Format, readWorkbook(b, s, each)
	}
	text := file.NewReader(b, file.Options{Windows1252: true})
	switch s.Format {
	case CSV:
		err = readCSV(text, s, each)
	case JSON, NDJSON:
		err = readJSON(text, s, each)
	case XML:
		err = readXML(text, s, each)
	case Calendar:
		err = readCalendar(text, s, each)
	default:
		err = fmt.Errorf("format %q: want csv, xlsx, json, ndjson, xml or ics", s.Format)
	}
	return s.Format, err
}

func formatOf(kind file.Kind, name string) (Format, error) {
	switch kind {
	case file.Text:
		return CSV, nil
	case file.JSON:
		if lower := strings.ToLower(name); strings.HasSuffix(lower, ".ndjson") || strings.HasSuffix(lower, ".jsonl") {
			return NDJSON, nil
		}
		return JSON, nil
	case file.XML:
		return XML, nil
	case file.Calendar:
		return Calendar, nil
	case file.Workbook:
		return Workbook, nil
	case file.HTML, file.OldWorkbook, file.OpenDocument, file.Zip, file.Gzip, file.PDF:
	}
	return "", kind.Unexpected()
}

// fits refuses a file that is plainly something else than the map says.
func (s Spec) fits(kind file.Kind) error {
	fits := map[Format][]file.Kind{
		CSV: {file.Text, file.JSON}, Workbook: {file.Workbook}, JSON: {file.JSON}, NDJSON: {file.JSON}, XML: {file.XML}, Calendar: {file.Calendar},
	}[s.Format]
	if slices.Contains(fits, kind) || len(fits) == 0 { // without any, Read names the wrong format
		return nil
	}
	if kind == file.Text {
		return fmt.Errorf("the file is plain text, not %s", s.Format)
	}
	return fmt.Errorf("the map says that the file is %s, but it is %v", s.Format, kind)
}

// limited ends with an error after so many bytes. Renew starts the count again.
type limited struct {
	r    io.Reader
	left int64
	what string
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, &tooLarge{l.what}
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// renew allows for one more record. Readers read ahead, so this bounds their memory, not the exact size of a record.
func (l *limited) renew() { l.left = maxRecord }

// tooLarge is the error about what is larger than its bound.
type tooLarge struct{ what string }

func (t *tooLarge) Error() string {
	return t.what + " is larger than a schedule can be: is it the right file?"
}
