// Package stream is the worker's side of NATS, and with the packages below it the only one that imports nats.go. The server
// keeps the state: what is unfinished, what became of it, who is signed in, and which process owns the site.
//
// # Ownership
//
// All replicas of the worker do the same; the server decides which of them is the owner. They pull from one durable
// consumer of the stream of changes whose priority policy is pinned_client, in one priority group (ADR-42,
// https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-42.md):
//
//   - When the server delivers a message and no client is pinned, it pins the client whose pull gets it, under a new pin ID.
//   - It delivers to nobody else from then on. A pull that names another pin ID is refused with status 423.
//   - A pull with the pin ID starts the consumer's PinnedTTL (IDLE_TAKEOVER) again. When it has run out, nobody is pinned, and
//     the next delivery pins somebody else.
//   - The pinned client may be unpinned by request, and is unpinned when the consumer's leader moves.
//
// No replica asks another one anything, and none needs a clock that agrees with another's.
//
//	standby  A              server                      standby  B
//	   |                       |                           |
//	   |-- pull 1, no pin ---->|<------- pull 1, no pin ---|     every 500 ms
//	   |<-- message -----------| pins A as X               |
//	   |-- info of consumer -->|                           |
//	   |<-- pinned: X ---------|                           |     picked: the message came to A's own inbox
//	   |-- read the record --->|                           |     of the last owner, in the control bucket
//	   |-- reset consumer ---->| from the first unfinished |     messages come in the order of the stream again
//	   |-- write the record -->| compare-and-set: A has X  |     a process that came too late for X yields here
//	   |-- read the ledgers -->|                           |     what has ended, by the last result of each agent
//	owner                      |                           |
//	   |-- pull 512, pin X --->| PinnedTTL starts          |
//	   |-- info of consumer -->|                           |     every 500 ms: still X? then the lease holds until
//	   |                       |                           |       asked + PinnedTTL - 1.5 s
//	   |== calls the gateway while the lease holds         |
//	   :                       |                           :
//	   x  killed, frozen, cut  |<------- pull 1, no pin ---|
//	                           | PinnedTTL runs out        |
//	                           |-------- message --------->|     pins B as Y; B does as A did
//	                           |                           |
//	                           |         the hold: agents with unfinished changes wait one gateway timeout
//	                           |                           |
//	                           |                         owner
//
// The pin comes from the consumer's information. The header Nats-Pin-Id of the delivery is not read: a publisher may have
// written one too.
//
// # The lease
//
// The pin says who may pull, but a call to the gateway is not a pull. So the owner calls only while it has a [Lease]:
//
//	until = min(asked, pulled + margin) + min(IDLE_TAKEOVER, PinnedTTL) - margin
//
// asked is the time just before it asked the server who is pinned, pulled that of its last pull. The margin covers what
// the server may count differently: a pull that was sent up to 1.5 s before the question (it expires after 1 s, and waits
// up to 400 ms for room). When the lease ends, the server still keeps the place; when the server gives it away, no lease
// holds. The last check is in the Write of the connection to the gateway, because a process may freeze between any two lines.
//
// The lease counts on two clocks, and ends with the first of them. The monotonic clock cannot be set back, but stands
// still while a machine is suspended. The wall clock runs on, but can be set.
//
// # The hold
//
// A call that the last owner has sent may still land at the gateway, up to one gateway timeout later. If it landed after
// the new owner's call for the same agent, an old flag would win. So after a takeover each agent with something unfinished
// waits for one gateway timeout. There is no hold if the last owner stopped cleanly: it finished its calls, stored their
// endings and wrote so into the control bucket, beside its pin ID; only then it asked to be unpinned. If that owner had
// itself taken over less than a gateway timeout before, all agents wait.
//
// # Headers
//
// A server stores any header block, and publishers are not trusted. nats.go delivers no header of a block that it cannot
// decode, and takes some headers for the server's own. Whoever reads a stream here uses [Reader], [GetMsg] or the puller:
// they tell a stored message by its reply subject, and read blocks leniently (header.go). A dead letter keeps what cannot be
// a header again as data (letterheader.go).
//
// # Promises
//
//  1. Messages come to the worker in the order of the stream, from the first unfinished one on, in each term; one that
//     is lost on its way ends the term, and so does a reset that somebody else asked for.
//  2. A result is stored once, after the agent's last one, or refused. It is stored before its change is acknowledged.
//  3. The lease is never held by two processes at once, whatever is frozen, cut or late.
//  4. Nothing that NATS does ends the process. What is wrong is in State while it lasts, and in the log once.
//  5. No message keeps others from being read or stored. What cannot be stored is stored smaller, or given up.
//
// # Files
//
//	owner.go        stands by and owns in turns       acquire.go becoming the owner      term.go    being the owner
//	lease.go        may this process call now?        control.go, place.go               what owners leave for each other
//	pull.go         asks for changes                  inbox.go   hands them to the worker
//	incarnations.go a stream that was restored from a backup is another one
//	journal.go      results and acknowledgements      retries.go what is rare and has to be done all the same
//	load.go         ledgers          dead.go          letters    batches.go, counts.go   summaries
//	follow.go       buckets, live    controls.go      pause and rate    service.go       answers operators
//	reader.go, get.go, scan.go, header.go             reading a stream      bucket.go    one key of a bucket
//	layout.go, consumer.go, overlap.go    what is on the server    connect.go, dial.go, domain.go    reaching it
//	trouble.go, report.go, nojetstream.go, certificate.go    what is wrong, in plain words
package stream
