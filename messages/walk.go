package messages

import (
	"bytes"
	"encoding/json"
)

// field is a field of a change message that has a meaning. Where several are wrong, the first of this order is reported.
type field uint8

const (
	agentID field = iota
	agentIDs
	changes
	cancel // before flag, which only a cancel may lack
	flag
	id
	batchID
	batchTotal
	effectiveAt
	validUntil
	reason
	source
	fields = iota
)

var fieldNames = [fields]string{
	"agent_id", "agent_ids", "changes", "cancel", "flag", "id", "batch_id", "batch_total", "effective_at",
	"valid_until", "reason", "source",
}

// fieldOf returns the field of exactly this name. Package encoding/json would also take "Agent_ID" for it.
func fieldOf(name string) (field, bool) {
	for f, known := range fieldNames {
		if name == known {
			return field(f), true
		}
	}
	return 0, false
}

// object is the JSON text of each known field; nil: the field is missing.
type object [fields][]byte

// scan finds the known fields of an object. Null counts as missing, except for the flag, where it is more likely a mistake than
// a wish. If a name comes twice, the last one that is not null counts.
func (o *object) scan(text []byte) {
	w := walk{text: text, at: 1}
	for {
		name, value, ok := w.member()
		if !ok {
			return
		}
		if f, known := fieldOf(string(name)); known && (value[0] != 'n' || f == flag) {
			o[f] = value
		}
	}
}

// walk steps through the members of an object or the elements of an array.
//
// It is not package encoding/json because that has no exact names without a map, and forgets a value that a null
// follows. Scanning one change takes 0.2 µs and no allocation here, 4 µs and 21 allocations with a map of
// json.RawMessage, and 9 µs and 69 with a json.Decoder. Decoding is what bounds how fast the owner reads a backlog of a million messages.
// The text must have passed json.Valid, so that it only has to find where values end.
type walk struct {
	text []byte
	at   int
}

// element returns the text of the next element.
func (w *walk) element() (value []byte, ok bool) {
	w.at = pastSpace(w.text, w.at)
	if w.text[w.at] == ',' {
		w.at = pastSpace(w.text, w.at+1)
	}
	if c := w.text[w.at]; c == ']' || c == '}' {
		return nil, false
	}
	start := w.at
	w.at = pastValue(w.text, start)
	return w.text[start:w.at], true
}

// member returns the name of the next member, unquoted, and the text of its value.
func (w *walk) member() (name, value []byte, ok bool) {
	quoted, ok := w.element()
	if !ok {
		return nil, nil, false
	}
	start := pastSpace(w.text, pastSpace(w.text, w.at)+1) // past the colon
	w.at = pastValue(w.text, start)
	name = quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var s string
		_ = json.Unmarshal(quoted, &s) // cannot fail: the text is valid
		name = []byte(s)
	}
	return name, w.text[start:w.at], true
}

// count returns the number of elements of an array, or most if there are as many or more.
func count(array []byte, most int) int {
	w := walk{text: array, at: 1}
	for n := range most {
		if _, ok := w.element(); !ok {
			return n
		}
	}
	return most
}

func pastSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// pastValue returns where the value ends that starts at i.
func pastValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return pastString(text, i)
	case '{', '[':
		return pastNested(text, i)
	}
	for i < len(text) {
		switch text[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

func pastString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// pastNested counts brackets instead of calling itself, so that deep nesting costs no stack.
func pastNested(text []byte, i int) int {
	for depth := 0; ; {
		switch text[i] {
		case '"':
			i = pastString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}
