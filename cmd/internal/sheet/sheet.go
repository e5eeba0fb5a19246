package sheet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"idlepolicy/cmd/internal/file"
)

// Sheet is a file of changes, read and checked as a whole before anything of it is published.
type Sheet struct {
	Name     string
	Messages []Message
	Problems []Problem

	bulk     bool            // lines are put together
	instants []time.Time     // all that changes name
	named    map[named][]int // the lines on which a change of an agent has that id
}

// Message is one message to publish.
type Message struct {
	Line    int // where it stands in the file, from 1
	Body    []byte
	Agents  []string
	Changes int // without cancels, which have no ending of their own
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

// ReadFrom is Read for whatever r returns until its end. An error of r is returned as it is. The caller limits the size.
func ReadFrom(r io.Reader, name, format string, st Stamp) (*Sheet, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return Read(name, format, data, st)
}

// Read reads a file in a format; empty: by its name, else by its first characters. What is wrong with the file is in
// Problems; an error means that the file and the arguments do not fit together.
func Read(name, format string, data []byte, st Stamp) (*Sheet, error) {
	s := &Sheet{Name: name, bulk: st.Bulk, named: map[named][]int{}}
	if kind := file.Sniff(data); kind > file.JSON && (format == "" || format == CSV || format == JSONL || format == JSON) {
		s.fault(1, "", kind.Unexpected().Error())
		return s, nil
	}
	data, err := file.Decode(data, file.Options{})
	if at, ok := errors.AsType[*file.LineError](err); ok {
		s.fault(at.Line, "", at.Err.Error())
		return s, nil
	}
	if format == "" {
		format = formatOf(name, data)
	}
	if format == CSV && file.Sniff(data) == file.JSON {
		s.fault(1, "", file.JSON.Unexpected().Error())
		return s, nil
	}
	if st.Bulk && format != CSV {
		return nil, fmt.Errorf("--bulk puts the lines of a CSV file together, and %s is %s", name, strings.ToUpper(format))
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
	s.checkNames()
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

// Changes returns how many changes the file has.
func (s *Sheet) Changes() int {
	n := 0
	for _, l := range s.Messages {
		n += l.Changes
	}
	return n
}
