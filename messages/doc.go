// Package messages is the contract of the worker in code: what may be published, what comes back, and under which
// names. It imports the standard library only, so that publishers and readers of results can use it as it is.
//
// A change message has one of four shapes, or is a CloudEvent with one of them as its data:
//
//	{"agent_id": "1001", "flag": "false"}
//	{"agent_ids": ["1001", "1002"], "flag": true}
//	{"batch_id": "late-shift-7", "flag": "true", "changes": [{"agent_id": "1001"}, {"agent_id": "1002", "flag": "false"}]}
//	[{"agent_id": "1001", "flag": "true"}, {"agent_id": "1002", "flag": "true"}]
//
// The outer fields of the second and third are defaults for their items. Decode reads them all and promises:
//
//  1. It returns for whatever bytes, and takes time and memory in proportion to them.
//  2. Each item is in exactly one of the lists Changes and Rejected, under its place in the message. A message that
//     cannot be read, or whose items nobody can tell apart, is one rejected item.
//  3. Whatever is in Changes can be used as it is: agent, flag, id and times are within the contract.
//  4. An item that cannot be used holds up no other. A default that cannot be used rejects the items that inherit it,
//     but not those that override it.
//  5. A rejection says in one sentence which field is wrong and what would be right. It is printable, shows little of
//     what was sent, and comes with everything about the item that could be read.
//  6. Names are matched exactly, letter case included. Unknown fields are ignored. Null counts as missing, except for the
//     flag, where it is unusable. Of a field that comes twice the last one that is not null counts.
//  7. The same bytes with the same default id give the same Message, today and when they are delivered again.
//  8. A CloudEvent 1.0 in structured mode means what its data means; its source is that of the changes that name none.
//     Anything else is read as it stands. An event in binary mode has a change message for its body, and its
//     headers mean nothing here: whatever a message means is in its bytes, so a dead letter means the same.
//
// The files in the folder schema say all this as JSON Schema as far as that can, and asyncapi.json says under which
// subjects it is published.
//
// Every change that the stream accepted ends in exactly one Result whose Outcome.Ends. Session is what the registry of
// sessions holds, and never shows its credentials. Names are the subjects, streams and buckets of a site.
package messages
