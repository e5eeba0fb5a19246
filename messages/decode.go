package messages

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Decode reads a change message in any of its four shapes, or in a CloudEvent. It always returns: what cannot be used is in Rejected.
//
// The defaultID names the changes for which the message has no id; it should be one that ValidID accepts. Nothing in
// the returned Message refers to data, so data may be reused.
func Decode(data []byte, defaultID string) Message {
	d := decoder{defaultID: defaultID}
	body, wrong := whole(data)
	var outer item
	if wrong != "" {
		d.rejectAll(&outer, wrong)
		return d.message
	}
	d.value(&outer, body, true)
	return d.message
}

// value reads the one JSON value of a message, or the data of an event.
func (d *decoder) value(outer *item, body []byte, mayBeEvent bool) {
	switch body[0] {
	case '[':
		d.list(outer, "message", body)
	case '{':
		d.object(outer, body, mayBeEvent)
	default:
		d.rejectAll(outer, "message: "+shown(body)+" "+cmp.Or(encodedTwice(body), "is not a change; want an object or an array of objects"))
	}
}

// bom is the byte order mark that some programs write before UTF-8.
var bom = []byte("\ufeff")

// whole returns the one JSON value in data, or a sentence that says why there is none.
func whole(data []byte) (body []byte, wrong string) {
	data = bytes.TrimPrefix(data, bom)
	if json.Valid(data) {
		// Everything after this relies on the text being valid: see walk.go.
		return data[pastSpace(data, 0):], ""
	}
	switch {
	case pastSpace(data, 0) == len(data):
		return nil, "message: empty; want a JSON object or array"
	case isUTF16(data):
		return nil, "message: text in UTF-16; want JSON in UTF-8"
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return nil, "message: compressed with gzip; want JSON as it is"
	}
	var syntax *json.SyntaxError
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); errors.As(err, &syntax) {
		return nil, fmt.Sprintf("message: not JSON, wrong at byte %d: %s", syntax.Offset,
			cmp.Or(usualMistake(data, int(syntax.Offset)), strings.TrimPrefix(err.Error(), "json: ")))
	}
	return nil, "message: not JSON"
}

// usualMistake names a common mistake by the text at the wrong byte, counting from 1; empty: it is none of them.
func usualMistake(data []byte, at int) string {
	before, here := bytes.TrimRight(data[:max(0, at-1)], " \t\r\n"), data[max(0, at-1):]
	var last, next byte
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	if len(here) > 0 {
		next = here[0]
	}
	switch {
	case json.Valid(before) && next == ',':
		return "a comma after the value; want one value without it"
	case json.Valid(before) && (next == '{' || next == '['):
		return "a second value after the first; want each in a message or on a line of its own"
	case last == ',' && (next == ']' || next == '}'):
		return "a comma before the closing bracket; want none after the last element"
	case next == '\'':
		return "a single quote; want double quotes around names and texts"
	case bytes.HasPrefix(here, []byte("NaN")) || bytes.HasPrefix(here, []byte("Infinity")) || bytes.HasPrefix(here, []byte("None")):
		return "a word of another language; want null, or leave the field out"
	case bytes.HasPrefix(here, []byte("True")) || bytes.HasPrefix(here, []byte("False")):
		return "a word of another language; want true or false in lower case"
	case next == 0x1e:
		return "a record separator as in JSON text sequences; want the JSON alone"
	case next == '<':
		return "XML or HTML; want JSON"
	case at >= len(data) && bytes.ContainsAny(data[:1], "{["):
		return "it ends in the middle; want one whole value, in NDJSON on one line"
	}
	return ""
}

// isUTF16 reports whether data begins like UTF-16: with its byte order mark, or with an ASCII character of two bytes.
func isUTF16(data []byte) bool {
	return len(data) > 1 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff || (data[0] == 0) != (data[1] == 0))
}

// encodedTwice returns a sentence about a JSON string that contains JSON; empty: it does not.
func encodedTwice(value []byte) string {
	text, _ := unquote(value)
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return "is JSON inside a JSON string; want the JSON itself, encoded once"
	}
	return ""
}

// decoder makes one Message.
type decoder struct {
	message   Message
	defaultID string
	named     map[string]int // how many changes of each agent were met so far; nil if there is only one item
}

// object reads a message that is an object: one change, one change for many agents, a batch, or an event with any of
// them. An event inside an event is not read as one, which bounds the depth.
func (d *decoder) object(outer *item, body []byte, mayBeEvent bool) {
	var o object
	o.scan(body)
	if e, ok := openEvent(body, &o); ok && mayBeEvent {
		d.event(outer, &e)
		return
	}
	outer.take(&o)
	one, many, batch := o[agentID] != nil, o[agentIDs] != nil, o[changes] != nil
	switch {
	case one && !many && !batch:
		d.message.Items = 1
		d.add(outer, 0, true)
	case many && !one && !batch:
		d.list(outer, "agent_ids", o[agentIDs])
	case batch && !one && !many:
		d.list(outer, "changes", o[changes])
	default:
		d.rejectAll(outer, shapes(&o)+"; exactly one of agent_id, agent_ids and changes is needed")
	}
}

// event reads the message in an event, whose source is the default of all its changes. Its id names the event, not a
// change: the same event in another message is another change.
func (d *decoder) event(outer *item, e *event) {
	outer.set(source, e.source)
	if e.wrong != "" {
		d.rejectAll(outer, e.wrong)
		return
	}
	d.value(outer, e.data, false)
}

// shapes returns which of the fields are present of which exactly one is required.
func shapes(o *object) string {
	var given []string
	for f := agentID; f <= changes; f++ {
		if o[f] != nil {
			given = append(given, fieldNames[f])
		}
	}
	if len(given) == 0 {
		return "agent_id: missing"
	}
	return strings.Join(given, " and ") + ": given together"
}

// itemOf describes an element of an array, which is the whole message or a field of it.
func itemOf(name string) string {
	if name == fieldNames[agentIDs] {
		return "agent"
	}
	return "change"
}

// list reads the items of an array, each with the defaults of its message.
func (d *decoder) list(outer *item, name string, array []byte) {
	if array[0] != '[' {
		d.rejectAll(outer, name+": "+shown(array)+" is not an array")
		return
	}
	n := count(array, MaxItems+1)
	switch {
	case n == 0:
		d.rejectAll(outer, name+": empty; at least one "+itemOf(name)+" is needed")
		return
	case n > MaxItems:
		d.rejectAll(outer, name+": more than "+strconv.Itoa(MaxItems)+" items; send them in several messages")
		return
	}
	d.message.Items = n
	d.message.Changes = make([]Change, 0, n)
	if n > 1 {
		d.named = make(map[string]int, n)
	}
	w := walk{text: array, at: 1}
	for index := range n {
		value, _ := w.element()
		it := *outer
		ownID := false
		if name == "agent_ids" {
			it.set(agentID, value)
		} else {
			ownID = it.override(name, value)
		}
		d.add(&it, index, ownID)
	}
}

// add adds an item to the list that it belongs to, with its id.
func (d *decoder) add(it *item, index int, ownID bool) {
	c := &it.change
	explicit := c.ID != ""
	if !explicit {
		c.ID = d.defaultID
	}
	if !c.Cancel && c.AgentID != "" && d.named != nil {
		d.named[c.AgentID]++
		if n := d.named[c.AgentID]; n > 1 && (!ownID || it.wrong[id] != "") {
			it.number(n)
		}
	}
	c.Index = index
	if wrong := it.problem(explicit); wrong != "" {
		d.reject(it, wrong)
		return
	}
	d.message.Changes = append(d.message.Changes, *c)
}

// rejectAll rejects the message as a whole.
func (d *decoder) rejectAll(outer *item, wrong string) {
	d.message.Items = 1
	if outer.change.ID == "" {
		outer.change.ID = d.defaultID
	}
	d.reject(outer, wrong)
}

func (d *decoder) reject(it *item, wrong string) {
	c := &it.change
	r := Rejection{
		AgentID: c.AgentID, ID: c.ID, BatchID: c.BatchID, BatchTotal: c.BatchTotal, Flag: c.Flag,
		Reason: c.Reason, Source: c.Source, Message: wrong, Index: c.Index,
	}
	if r.AgentID == "" {
		r.AgentID = UnknownAgent
	}
	if r.BatchID == "" {
		r.BatchTotal = 0
	}
	d.message.Rejected = append(d.message.Rejected, r)
}
