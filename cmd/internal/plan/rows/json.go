package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// jsonReader reads one element of the outermost arrays at a time. Members that enclose such an array are known to its rows
// only if they stand before it.
type jsonReader struct {
	decoder *json.Decoder
	limit   *limited
	rows    [][]string // the paths of rows
	fields  []jsonPath
	names   map[string]bool // with which the path of a field begins
	each    func(Row) error
	values  []Value
}

// jsonPath is the path of a field.
type jsonPath struct {
	up    int
	top   bool
	names []string
}

// node is a value with what encloses it.
type node struct {
	value  any
	parent *node
}

func readJSON(text io.Reader, s Spec, each func(Row) error) error {
	limit := &limited{r: text, left: maxRecord, what: "an element"}
	j := &jsonReader{decoder: json.NewDecoder(limit), limit: limit, each: each, values: make([]Value, len(s.Fields)), names: map[string]bool{}}
	j.decoder.UseNumber()
	for _, path := range s.Rows {
		j.rows = append(j.rows, splitDots(path))
	}
	if len(j.rows) == 0 {
		j.rows = [][]string{nil}
	}
	for _, path := range s.Fields {
		p := readJSONPath(path)
		j.fields = append(j.fields, p)
		if len(p.names) > 0 {
			j.names[p.names[0]] = true
		}
	}
	for n := 0; ; n++ {
		limit.renew()
		place := ""
		if s.Format == NDJSON {
			place = "record " + strconv.Itoa(n+1)
		}
		err := j.value(j.rows, nil, place)
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return j.explain(err)
		}
	}
}

// explain says what is wrong with the file as JSON.
func (j *jsonReader) explain(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("byte %d: not JSON: %w", syntax.Offset, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends in the middle of its JSON: was it copied as a whole?")
	}
	return err
}

func splitDots(path string) []string {
	var names []string
	for name := range strings.SplitSeq(strings.ReplaceAll(path, "[]", ""), ".") {
		if name != "" && name != "$" {
			names = append(names, name)
		}
	}
	return names
}

func readJSONPath(path string) jsonPath {
	var p jsonPath
	for strings.HasPrefix(path, "../") {
		p.up++
		path = path[len("../"):]
	}
	path, p.top = strings.CutPrefix(path, "/")
	p.names = splitDots(path)
	return p
}

// value reads the next value, of which the rows lie below some paths.
func (j *jsonReader) value(paths [][]string, parent *node, place string) error {
	token, err := j.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		return j.array(paths, parent, place)
	case json.Delim('{'):
		return j.object(paths, parent, place, j.atRow(paths))
	}
	return nil
}

// atRow reports whether the value at hand is itself a row, by one of the paths.
func (j *jsonReader) atRow(paths [][]string) bool {
	for _, p := range paths {
		if len(p) == 0 {
			return true
		}
	}
	return false
}

func (j *jsonReader) array(paths [][]string, parent *node, place string) error {
	for i := 0; j.decoder.More(); i++ {
		j.limit.renew()
		if err := j.element(paths, parent, place+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	_, err := j.decoder.Token()
	return err
}

// object reads an object that encloses rows, one member after the other. If it is a row itself, it is read as a whole.
func (j *jsonReader) object(paths [][]string, parent *node, place string, row bool) error {
	members := map[string]any{}
	self := &node{members, parent}
	for j.decoder.More() {
		if !row {
			j.limit.renew()
		}
		token, err := j.decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		var below [][]string
		for _, p := range paths {
			if len(p) > 0 && p[0] == key {
				below = append(below, p[1:])
			}
		}
		if len(below) > 0 && !row {
			if err := j.value(below, self, join(place, key)); err != nil {
				return err
			}
			continue
		}
		var v any
		if err := j.decoder.Decode(&v); err != nil {
			return err
		}
		if row || j.names[key] { // of what encloses rows only what a field can name
			members[key] = v
		}
	}
	if _, err := j.decoder.Token(); err != nil {
		return err
	}
	if row {
		return j.walk(self, paths, place)
	}
	return nil
}

func join(place, key string) string {
	if place == "" {
		return key
	}
	return place + "." + key
}

// element reads one element as a whole and passes on the rows that are in it.
func (j *jsonReader) element(paths [][]string, parent *node, place string) error {
	var v any
	if err := j.decoder.Decode(&v); err != nil {
		return err
	}
	return j.walk(&node{v, parent}, paths, place)
}

// walk passes on a value and what is in it, wherever a path ends. A row comes before the rows inside it.
func (j *jsonReader) walk(n *node, paths [][]string, place string) error {
	if list, ok := n.value.([]any); ok {
		for i, v := range list {
			if err := j.walk(&node{v, n.parent}, paths, place+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
		return nil
	}
	members, ok := n.value.(map[string]any)
	if !ok {
		return nil
	}
	if j.atRow(paths) {
		if err := j.row(n, place); err != nil {
			return err
		}
	}
	done := map[string]bool{}
	for _, p := range paths {
		if len(p) == 0 || done[p[0]] {
			continue
		}
		done[p[0]] = true
		below, ok := members[p[0]]
		if !ok || below == nil {
			continue
		}
		var rest [][]string
		for _, q := range paths {
			if len(q) > 0 && q[0] == p[0] {
				rest = append(rest, q[1:])
			}
		}
		if err := j.walk(&node{below, n}, rest, join(place, p[0])); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonReader) row(n *node, place string) error {
	if place == "" {
		place = "the top"
	}
	for i, p := range j.fields {
		at := n
		for range p.up {
			if at != nil {
				at = at.parent
			}
		}
		for p.top && at != nil && at.parent != nil {
			at = at.parent
		}
		j.values[i] = Value{}
		if at != nil {
			j.values[i] = valueAt(at.value, p.names)
		}
	}
	return j.each(Row{Place: place, Values: j.values})
}

func valueAt(v any, names []string) Value {
	for _, name := range names {
		members, ok := v.(map[string]any)
		if !ok {
			return Value{}
		}
		v = members[name]
	}
	switch v := v.(type) {
	case string:
		return Value{Text: strings.TrimSpace(v)}
	case json.Number:
		return Value{Text: v.String(), Number: true}
	case bool:
		return Value{Text: strconv.FormatBool(v)}
	}
	return Value{}
}
