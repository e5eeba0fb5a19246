package file

import (
	"bytes"
	"errors"
	"fmt"
)

// Kind is what a file is, whatever its name says.
type Kind int

// The kinds. Everything that is not recognised is Text.
const (
	Text Kind = iota
	JSON
	XML
	Calendar
	HTML
	Workbook
	OldWorkbook
	OpenDocument
	Zip
	Gzip
	PDF
)

// kinds describes each kind and how to turn it into something that can be read as CSV.
var kinds = map[Kind]struct{ name, remedy string }{
	JSON:         {"JSON", "give it a name that ends in .json, or name the format"},
	XML:          {"XML", "export it as CSV, or read it with idlectl plan"},
	Calendar:     {"an iCalendar file (.ics)", "read it with idlectl plan"},
	HTML:         {"an HTML page", "open it in a spreadsheet and save it as CSV UTF-8"},
	Workbook:     {"an Excel workbook (.xlsx)", "save it as CSV UTF-8, or read it with idlectl plan"},
	OldWorkbook:  {"an old or password-protected Excel workbook (.xls)", "open it and save it as CSV UTF-8"},
	OpenDocument: {"an OpenDocument spreadsheet (.ods)", "open it and save it as CSV UTF-8"},
	Zip:          {"a zip archive", "unpack it first"},
	Gzip:         {"a gzip archive", "unpack it first"},
	PDF:          {"a PDF document", "export the data as CSV"},
}

// String returns the kind as a noun, such as "an Excel workbook (.xlsx)".
func (k Kind) String() string {
	if k == Text {
		return "text"
	}
	return kinds[k].name
}

// Unexpected returns an error that says what the file is and how to get one that can be read.
func (k Kind) Unexpected() error {
	if k == Text {
		return errors.New("the file is plain text; name its format")
	}
	return fmt.Errorf("the file is %v; %s", k, kinds[k].remedy)
}

// HeadSize is how many bytes of a file Sniff looks at.
const HeadSize = 4096

var magic = []struct {
	begins string
	kind   Kind
}{
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OldWorkbook},
	{"\x1f\x8b", Gzip},
	{"%PDF-", PDF},
}

// Sniff returns what a file is by its first bytes, in any encoding that NewReader reads.
func Sniff(head []byte) Kind {
	head = head[:min(len(head), HeadSize)]
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return sniffZip(head)
	}
	for _, m := range magic {
		if bytes.HasPrefix(head, []byte(m.begins)) {
			return m.kind
		}
	}
	text := bytes.TrimLeft(headText(head), "\ufeff \t\r\n")
	lower := bytes.ToLower(text[:min(len(text), 512)])
	switch {
	case len(lower) == 0:
		return Text
	case lower[0] == '{', lower[0] == '[':
		return JSON
	case bytes.HasPrefix(lower, []byte("begin:vcalendar")):
		return Calendar
	case lower[0] == '<' && (bytes.Contains(lower, []byte("<html")) || bytes.Contains(lower, []byte("<!doctype html")) ||
		bytes.HasPrefix(lower, []byte("<table")) || bytes.HasPrefix(lower, []byte("<meta"))):
		return HTML
	case lower[0] == '<':
		return XML
	}
	return Text
}

func sniffZip(head []byte) Kind {
	switch {
	case bytes.Contains(head, []byte("opendocument")):
		return OpenDocument
	case bytes.Contains(head, []byte("xl/")), bytes.Contains(head, []byte("[Content_Types].xml")):
		return Workbook
	}
	return Zip
}
