// Package messages is the contract of the worker in code: what may be published, what comes back, and under which
// names. It imports the standard library only, so that publishers and readers of results can use it as it is.
//
// A change message has one of four shapes:
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
//     and those that override it go on.
//  5. A rejection says in one sentence which field is wrong and what would be right. It is printable, shows little of
//     what was sent, and comes with everything about the item that could be read.
//  6. Names are matched exactly, letter case included. Unknown fields are ignored; null is as good as missing, save for
//     the flag, where it is unusable. Of a field that comes twice the last one that is not null counts.
//  7. The same bytes with the same default id give the same Message, today and when they are delivered again.
//
// Every change that the stream accepted ends in exactly one Result whose Outcome.Ends. Session is what the registry of
// sessions holds, and never shows its credentials. Names are the subjects, streams and buckets of a site.
package messages
