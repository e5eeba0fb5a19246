package messages

import (
	"encoding/base64"
	"strings"
)

// event is a CloudEvent 1.0 in structured mode: an envelope around a change message.
type event struct {
	data   []byte // of valid JSON, unless something is wrong with it
	source []byte // JSON text
	wrong  string // why its data cannot be read
}

// Attributes of an event, by what they are called in JSON.
const (
	attrSpec = iota
	attrID
	attrSource
	attrType
	attrData
	attrBase64
	attrs
)

func attributeOf(name string) int {
	switch name {
	case "specversion":
		return attrSpec
	case "id":
		return attrID
	case "source":
		return attrSource
	case "type":
		return attrType
	case "data":
		return attrData
	case "data_base64":
		return attrBase64
	}
	return attrs
}

// openEvent reads an object, whose known fields are in o, as an event. An object that lacks a required attribute of events, or has a required
// field of change messages, is not an event. Headers do not count, because a dead letter may not be able to keep them.
func openEvent(body []byte, o *object) (e event, ok bool) {
	if o[agentID] != nil || o[agentIDs] != nil || o[changes] != nil {
		return e, false
	}
	var found [attrs][]byte
	w := walk{text: body, at: 1}
	for name, value, more := w.member(); more; name, value, more = w.member() {
		if a := attributeOf(string(name)); a < attrs && value[0] != 'n' {
			found[a] = value
		}
	}
	for _, value := range found[:attrData] {
		if len(value) <= len(`""`) || value[0] != '"' {
			return e, false
		}
	}
	version, _ := unquote(found[attrSpec])
	if version != "1.0" || (found[attrData] == nil) == (found[attrBase64] == nil) {
		return e, false
	}
	e.data, e.source = found[attrData], found[attrSource]
	if e.data == nil {
		e.data, e.wrong = unpack(found[attrBase64])
	}
	return e, true
}

// unpack returns the JSON value that is in data_base64, or a sentence that says why there is none.
func unpack(raw []byte) (body []byte, wrong string) {
	text, ok := unquote(raw)
	data, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		return nil, "data_base64: " + shown(raw) + " is not base64; want a string of it"
	}
	body, wrong = whole(data)
	return body, strings.Replace(wrong, "message:", "data_base64:", 1)
}
