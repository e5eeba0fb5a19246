package natstest

import (
	"strings"
)

// Block is a header block that a server stores, whatever clients make of it.
type Block struct {
	Name string // what is special about it
	Text string // all of it, the first line too
}

// Blocks returns header blocks of many kinds that publishers can send by raw TCP ([Raw.Publish]) and that a server stores:
// names that clients refuse, lines that they cannot decode, and names that mean something to a server, a client or us.
func Blocks() []Block {
	lines := func(lines ...string) string { return "NATS/1.0\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" }
	return []Block{
		{"a name with an at sign", lines("@source: x")},
		{"a name with a slash", lines("a/b: x")},
		{"a name with parentheses", lines("a(b): x")},
		{"a name with an umlaut", lines("naïve: x")},
		{"a name that is a sign", lines("€: x")},
		{"a name with a space", lines("a b: x")},
		{"a name with a space behind it", lines("trail : x")},
		{"a name with a space before it", lines(" lead: x")},
		{"a name with a tab", lines("a\tb: x")},
		{"a name in brackets", lines("[x]: y")},
		{"a name in braces", lines("{x}: y")},
		{"a name in quotes", lines(`"q": x`)},
		{"a name with an equals sign", lines("k=v: x")},
		{"a name that is empty", lines(": x")},
		{"a name of 10 kB", lines(strings.Repeat("n", 10<<10) + ": x")},
		{"a name with a control character", lines("a\x01b: x")},
		{"a line without a colon", lines("foo")},
		{"a line without a colon among others", lines("Good: yes", "foo", "After: yes")},
		{"a folded line", lines("a: b", "  and more")},
		{"an empty line in the middle", lines("a: b", "", "c: d")},
		{"CR in a value", lines("a: b\rc")},
		{"NUL in a value", lines("a: b\x00c")},
		{"0xFF in a value", lines("a: b\xffc")},
		{"a value of 40 kB", lines("a: " + strings.Repeat("v", 40<<10))},
		{"a value of 60 kB", lines("a: " + strings.Repeat("v", 60<<10))},
		{"thousands of lines", lines(strings.Repeat("a: b\r\n", 4000) + "c: d")},
		{"lines that end with LF only", "NATS/1.0\na: b\n\n"},
		{"no lines", "NATS/1.0\r\n\r\n"},
		{"no end", "NATS/1.0\r\nfoo: bar"},
		{"no version", "foo: bar\r\n\r\n"},
		{"another version", "NATS/2.0\r\nfoo: bar\r\n\r\n"},
		{"garbage", "\x00\xff\x00\xff\x00\xff"},
		{"one byte", "x"},
		{"the first line alone", "NATS/1.0"},
		{"a pin", lines("Nats-Pin-Id: x")},
		{"a pin, and an end that swallows the server's", "NATS/1.0\r\nNats-Pin-Id: x\r\nfoo: bar"},
		{"Status 400", lines("Status: 400")},
		{"Status 404", lines("Status: 404")},
		{"Status 408", lines("Status: 408")},
		{"Status 423", lines("Status: 423", "Description: Nats-Wrong-Pin-Id")},
		{"Status 503", lines("Status: 503")},
		{"Status active", lines("Status: active")},
		{"Status of a deleted consumer", lines("Status: 409", "Description: Consumer Deleted")},
		{"Status of a leader that is gone", lines("Status: 409", "Description: Leadership Change")},
		{"Status of a heartbeat", lines("Status: 100", "Description: Idle Heartbeat", "Nats-Consumer-Stalled: $JS.FC.x")},
		{"Status in the first line", "NATS/1.0 503\r\na: b\r\n\r\n"},
		{"Status and reason in the first line", "NATS/1.0 409 Consumer Deleted\r\na: b\r\n\r\n"},
		{"a status that is too short", "NATS/1.0 5\r\na: b\r\n\r\n"},
		{"counts of pending messages", lines("Status: 408", "Nats-Pending-Messages: x", "Nats-Pending-Bytes: y")},
		{"the place of another message", lines("Nats-Stream: S", "Nats-Subject: s", "Nats-Sequence: x", "Nats-Time-Stamp: t", "Nats-Num-Pending: 1")},
		{"last sequences", lines("Nats-Last-Consumer: 1", "Nats-Last-Stream: 1", "Nats-Last-Sequence: 1")},
		{"headers of dead letters", lines("Idle-Result: {}", "Idle-Cut: true", "Idle-Headers: ?", "idle-result: {}", "Idle-Nats-Msg-Id: x")},
		{"headers of results", lines("Idle-Ledger: ?", "Idle-Batch: b 0", "Idle-Batch-Stored: x", "Idle-Batch-Last: ?", "Idle-Batch-From: ?")},
		{"attributes of an event", lines("ce-specversion: 9", "ce-id: x", "ce-type: y", "ce-source: /z", "ce-time: now", "Content-Type: text/html")},
		{"a trace of garbage", lines("traceparent: ??", "tracestate: \x01")},
		{"names in other letter cases", lines("nats-msg-id: x", "NATS-PIN-ID: x", "status: 400", "kv-operation: DEL")},
	}
}
