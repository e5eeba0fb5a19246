package sheet

import (
	"bytes"
	"encoding/json"
	"strings"
)

// linesOfItems returns the line on which each item of a JSON message begins; nothing if the message has no items, or as
// far as it can be read.
func linesOfItems(data []byte) []int {
	d := json.NewDecoder(bytes.NewReader(data))
	if !enterItems(d) {
		return nil
	}
	var lines []int
	line, counted := 1, 0
	var skipped json.RawMessage
	for d.More() {
		at := int(d.InputOffset())
		for at < len(data) && strings.IndexByte(" \t\r\n,", data[at]) >= 0 {
			at++
		}
		line += bytes.Count(data[counted:at], []byte("\n"))
		counted = at
		lines = append(lines, line)
		if d.Decode(&skipped) != nil {
			break
		}
	}
	return lines
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
