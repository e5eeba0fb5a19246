package messages

import (
	"encoding/json"
	"slices"
)

// Extract returns one item of a change message as a message of its own, with the defaults of its message filled in:
// what a dead letter holds, and what can be published again. Unusable values and unknown fields stay as they are, so
// that whoever reads the letter sees what was sent.
//
// A message without that item, or whose items nobody can tell apart, is returned as it is.
func Extract(data []byte, index int) []byte { return NewParts(data).Extract(index) }

// Parts is a change message of which several items are extracted: what is the same for all of them is done once. It is
// not for use by several goroutines at once.
type Parts struct {
	data    []byte
	outer   object
	array   []byte
	decoded *Message // nil: nobody has asked yet
}

// NewParts returns the parts of a message, which must not change afterwards.
func NewParts(data []byte) *Parts {
	p := &Parts{data: data}
	if body, wrong := whole(data); wrong == "" {
		p.outer, p.array = unfold(body)
	}
	return p
}

// Extract does the same as the function [Extract] for this message.
func (p *Parts) Extract(index int) []byte {
	data, outer := p.data, p.outer
	if index < 0 || len(p.array) == 0 || p.array[0] != '[' {
		return data
	}
	value, ok := elementAt(p.array, index)
	switch {
	case !ok:
		return data
	case outer[agentIDs] != nil:
		outer[agentID] = value
		return fill(nil, &outer, p.numbered(index))
	case value[0] != '{':
		return slices.Clone(value)
	}
	var own object
	own.scan(value)
	var name string
	if own[id] == nil { // otherwise the message need not be decoded for it
		name = p.numbered(index)
	}
	for f := range own {
		if own[f] != nil {
			outer[f] = nil // overridden
		}
	}
	outer[changes] = nil
	return fill(value, &outer, name)
}

// unfold returns the defaults and the items of a message, which may be in an event.
func unfold(body []byte) (outer object, array []byte) {
	if body[0] == '{' {
		outer.scan(body)
		e, ok := openEvent(body, &outer)
		switch {
		case !ok:
			return outer, outer.items()
		case e.wrong != "":
			return outer, nil
		}
		outer, body = object{source: e.source}, e.data
	}
	if body[0] == '{' {
		outer.scan(body)
		return outer, outer.items()
	}
	return outer, body
}

// items returns the one array that holds the items of a message, or nil if there is none or more than one.
func (o *object) items() []byte {
	switch {
	case o[agentID] != nil, o[agentIDs] != nil && o[changes] != nil:
		return nil
	case o[agentIDs] != nil:
		return o[agentIDs]
	}
	return o[changes]
}

func elementAt(array []byte, index int) ([]byte, bool) {
	w := walk{text: array, at: 1}
	for range index {
		if _, ok := w.element(); !ok {
			return nil, false
		}
	}
	return w.element()
}

// numbered returns the id that Decode gave the item, if it took that of the message and changed it.
func (p *Parts) numbered(index int) string {
	if p.outer[id] == nil {
		return "" // the name came from outside of the message
	}
	if _, wrong := readID(p.outer[id]); wrong != "" {
		return ""
	}
	if p.decoded == nil {
		m := Decode(p.data, "")
		p.decoded = &m
	}
	m := p.decoded
	for i := range m.Changes {
		if m.Changes[i].Index == index {
			return m.Changes[i].ID
		}
	}
	for i := range m.Rejected {
		if m.Rejected[i].Index == index {
			return m.Rejected[i].ID
		}
	}
	return ""
}

// fill returns the item with the fields of its message that it lacks. A name takes the place of the message's id.
func fill(value []byte, missing *object, name string) []byte {
	missing[agentIDs] = nil
	dst := []byte{'{'}
	if len(value) > 0 {
		dst = append(dst, value[1:len(value)-1]...)
		if pastSpace(value, 1) < len(value)-1 {
			dst = append(dst, ',')
		}
	}
	for f, raw := range missing {
		if raw == nil {
			continue
		}
		if field(f) == id && name != "" {
			raw, _ = json.Marshal(name) // a string always has a JSON form
		}
		dst = append(dst, `"`+fieldNames[f]+`":`...)
		dst = append(append(dst, raw...), ',')
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}
