package rows

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// element is an open element of XML, with what is known about it so far.
type element struct {
	name   string
	values map[string]string // @attribute, child, child/child, …; the first one of each name
	text   strings.Builder
	line   int
	row    int // its place among the rows that wait; -1: not a row
}

// maxValues is how many different names are remembered of one element.
const maxValues = 4096

// xmlReader keeps the open elements, and the rows of the outermost row that is open: a row comes before the rows inside it,
// but is known only at its end.
type xmlReader struct {
	rows    [][]string
	fields  []xmlPath
	each    func(Row) error
	open    []*element
	waiting []waitingRow
	values  []Value
}

type waitingRow struct {
	line   int
	values []Value
}

type xmlPath struct {
	up   int
	top  bool
	name string
}

func readXML(text io.Reader, s Spec, each func(Row) error) error {
	limit := &limited{r: text, left: maxRecord, what: "an element"}
	d := xml.NewDecoder(limit)
	d.CharsetReader = sameCharset
	x := &xmlReader{each: each, values: make([]Value, len(s.Fields))}
	for _, path := range s.Rows {
		x.rows = append(x.rows, slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" }))
	}
	if len(x.rows) == 0 {
		return errors.New("rows: missing; want the path of the elements that are rows, such as Agent/Day/Segment")
	}
	for _, path := range s.Fields {
		x.fields = append(x.fields, readXMLPath(path))
	}
	for {
		if len(x.waiting) == 0 {
			limit.renew()
		}
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && len(x.open) == 0 {
			return nil
		}
		line, _ := d.InputPos()
		if err == nil {
			err = x.token(token, line)
		} else {
			err = explainXML(err, line)
		}
		if err != nil {
			return err
		}
	}
}

// sameCharset is for text that has been turned into UTF-8 already, whatever its first line says.
func sameCharset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-16", "utf-16le", "utf-16be", "windows-1252", "iso-8859-1", "latin1", "us-ascii":
		return input, nil
	}
	return nil, fmt.Errorf("the encoding %.20q is not supported; want UTF-8, UTF-16 or Windows-1252", label)
}

func explainXML(err error, line int) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return fmt.Errorf("line %d: not XML: %s", syntax.Line, syntax.Msg)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("line %d: the file ends in the middle of its XML: was it copied as a whole?", line)
	}
	return err
}

func readXMLPath(path string) xmlPath {
	var p xmlPath
	for strings.HasPrefix(path, "../") {
		p.up++
		path = path[len("../"):]
	}
	p.name, p.top = strings.CutPrefix(path, "/")
	return p
}

func (x *xmlReader) token(token xml.Token, line int) error {
	switch t := token.(type) {
	case xml.StartElement:
		return x.start(t, line)
	case xml.EndElement:
		return x.end(t.Name.Local, line)
	case xml.CharData:
		if n := len(x.open); n > 0 {
			x.open[n-1].text.Write(t)
		}
	case xml.Directive:
		if strings.Contains(string(t), "ENTITY") {
			return fmt.Errorf("line %d: the file declares XML entities, which a schedule does not need and this program does not expand", line)
		}
	}
	return nil
}

func (x *xmlReader) start(t xml.StartElement, line int) error {
	if len(x.open) == maxDepth {
		return fmt.Errorf("line %d: elements are nested more than %d deep", line, maxDepth)
	}
	e := &element{name: t.Name.Local, values: map[string]string{}, line: line, row: -1}
	for _, a := range t.Attr {
		e.set("@"+a.Name.Local, a.Value)
	}
	if n := len(x.open); n > 0 {
		x.open[n-1].text.Reset() // text between elements means nothing
	}
	x.open = append(x.open, e)
	if x.atRow() {
		e.row = len(x.waiting)
		x.waiting = append(x.waiting, waitingRow{line: line})
	}
	return nil
}

// atRow reports whether the innermost open element is a row: a path may leave out the root.
func (x *xmlReader) atRow() bool {
	for _, path := range x.rows {
		if x.opens(path, 0) || x.opens(path, 1) {
			return true
		}
	}
	return false
}

func (x *xmlReader) opens(path []string, from int) bool {
	if len(x.open)-from != len(path) {
		return false
	}
	for i, name := range path {
		if x.open[from+i].name != name {
			return false
		}
	}
	return true
}

func (e *element) set(name, value string) {
	if _, known := e.values[name]; !known && len(e.values) < maxValues {
		e.values[name] = strings.TrimSpace(value)
	}
}

func (x *xmlReader) end(name string, line int) error {
	n := len(x.open) - 1
	if n < 0 || x.open[n].name != name {
		return fmt.Errorf("line %d: not XML: </%.40s> closes nothing that is open", line, name)
	}
	e := x.open[n]
	if e.row >= 0 {
		x.waiting[e.row].values = x.valuesOf()
	}
	x.open = x.open[:n]
	if e.row == 0 {
		return x.pass()
	}
	if n > 0 && e.row < 0 {
		parent := x.open[n-1]
		if text := strings.TrimSpace(e.text.String()); text != "" {
			parent.set(name, text)
		}
		for key, value := range e.values {
			parent.set(name+"/"+key, value)
		}
	}
	return nil
}

// valuesOf returns the fields of the innermost open element.
func (x *xmlReader) valuesOf() []Value {
	values := make([]Value, len(x.fields))
	for i, p := range x.fields {
		at := len(x.open) - 1 - p.up
		name := p.name
		if p.top {
			at = 0
			name = strings.TrimPrefix(name, x.open[0].name+"/")
		}
		switch {
		case at < 0:
		case name == "." || name == "":
			values[i].Text = strings.TrimSpace(x.open[at].text.String())
		default:
			values[i].Text = x.open[at].values[name]
		}
	}
	return values
}

// pass passes on the rows of an outermost row that has ended.
func (x *xmlReader) pass() error {
	for _, r := range x.waiting {
		if err := x.each(Row{Place: fmt.Sprint("line ", r.line), Values: r.values}); err != nil {
			return err
		}
	}
	x.waiting = x.waiting[:0]
	return nil
}
