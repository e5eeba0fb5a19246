// Package stream is the worker's side of NATS, and the only package of it that knows the library. The server keeps the
// state: what is unfinished, what became of it, who is signed in, and who the owner is.
//
// owner.go has this process stand by and own in turns; take.go is how it becomes the owner, term.go what it does while
// it is, lease.go whether it may call the gateway at this moment, control.go what owners leave for each other. pull.go and
// inbox.go bring messages in; epochs.go tells a stream that was restored from the one it was.
//
// journal.go stores results and acknowledges, with load.go for the ledgers, dead.go for dead letters, batches.go and
// counts.go for summaries, errands.go for what is rare and handle.go for the streams it asks. follow.go follows the
// sessions; service.go answers operators, and controls.go has the worker keep to what they set.
//
// layout.go names the streams. connect.go and dial.go reach the server, certificate.go says what is wrong with a certificate;
// overlap.go and lacking.go say what stands in the way there, and what is missing. trouble.go keeps what is wrong while it
// lasts, said.go has the library's errors in plain words.
//
// Promises:
//
//  1. Messages come to the worker in the order of the stream, from the first unfinished one on, in each term; one that
//     is lost on its way ends the term, and so does a reset that somebody else asked for.
//  2. A result is stored once, after the agent's last one, or refused. It is stored before its change is acknowledged.
//  3. The lease is never held by two processes at once, whatever is frozen, cut or late.
//  4. Nothing that NATS does ends the process. What is wrong is in State while it lasts, and in the log once.
package stream
