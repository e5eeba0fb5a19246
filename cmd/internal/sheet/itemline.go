package sheet

import (
	"bytes"
	"encoding/json"
	"strings"

	"idlepolicy/messages"
)

// lineOfItem finds the line on which an item of a JSON message begins; 1 where the message itself is meant.
func lineOfItem(data []byte, r messages.Rejection) int {
	d := json.NewDecoder(bytes.NewReader(data))
	if !enterItems(d) {
		return 1
	}
	var skipped json.RawMessage
	for range r.Index {
		if !d.More() || d.Decode(&skipped) != nil {
			return 1
		}
	}
	if !d.More() {
		return 1
	}
	at := int(d.InputOffset())
	for at < len(data) && strings.IndexByte(" \t\r\n,", data[at]) >= 0 {
		at++
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// enterItems goes into the array that holds the items of a message.
func enterItems(d *json.Decoder) bool {
	first, err := d.Token()
	if err != nil || first == json.Delim('[') {
		return err == nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false
		}
		if key == "changes" || key == "agent_ids" {
			open, err := d.Token()
			return err == nil && open == json.Delim('[')
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}
