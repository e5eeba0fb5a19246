// Package stream is the worker's side of NATS, and the only package of it that knows the library. The server keeps the
// state: what is unfinished, what became of it, who is signed in, and who the owner is.
//
// owner.go has this process stand by and own in turns; take.go is how it becomes the owner, term.go what it does while
// it is, lease.go whether it may call the gateway at this moment. pull.go and inbox.go bring messages in; journal.go
// stores results and acknowledges, with load.go for the ledgers, dead.go for dead letters, batches.go for summaries and
// errands.go for what is rare. follow.go follows the sessions, service.go answers operators, control.go keeps what they
// set. layout.go names the streams, connect.go reaches the server; overlap.go and lacking.go say what stands in the way there, and
// what is missing.
//
// Promises:
//
//  1. Messages come to the worker in the order of the stream, from the first unfinished one on, in each term; one that
//     is lost on its way ends the term.
//  2. A result is stored once, after the agent's last one, or refused. It is stored before its change is acknowledged.
//  3. The lease is never held by two processes at once, whatever is frozen, cut or late.
//  4. Nothing that NATS does ends the process. What is wrong is in State while it lasts, and in the log once.
package stream
