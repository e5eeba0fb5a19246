// Package worker holds the scheduling core. It does no I/O: it knows neither NATS nor HTTP. Changes come in, the newest one of each
// agent goes to the gateway when the gate allows it, and each change gets exactly one ending.
//
// The files, in the order in which a change passes through them:
//
//	worker.go     the Worker and the few small interfaces that it needs
//	loop.go       the event loop, which starts all goroutines; mailbox.go takes events to it
//	admit.go      a message comes in; message.go who still holds it, and its acknowledgement
//	change.go     a change; lane.go its agent's lane, where the latest wins (cancel.go, reapply.go)
//	schedule.go   what a lane waits for, and why (debounce.go, clock.go); ready.go who is called next; heap.go
//	attempt.go    a call, its answer, and the table that decides whether it is retried (call.go, backoff.go); hold.go which
//	              agents wait because an earlier call may still take effect; doubt.go the calls that got no answer
//	result.go     from an outcome to its place in the ledger, through the agent's outbox (outbox.go), which keeps
//	              the place of an ending until the call under way is over; letter.go dead letters;
//	              pipeline.go what an agent whose results are stuck may hold up; reconcile.go what to do if the ledger says
//	              otherwise
//	batch.go      changes that are counted together; generation.go which uses of a batch's ID they belong to; batchquery.go
//	              what the Journal is asked about a batch
//	session.go    who is signed in; control.go what operators ask for
//	view.go       what operators see: coverage.go, forecast.go, wave.go, recent.go, trace.go
//
// Three packages are part of the core: worker/ledger, worker/gate and worker/view.
//
// The default and the bounds of the rate limit are in package config, the limiter is gate/bucket.go. Fields of messages and
// results are in package messages, return codes in gateway/retcode.go. README.md in this folder has the whole list, with the
// test that fails if a place is forgotten.
//
// What the package promises, in whatever order things happen:
//
//  1. Every delivered change gets exactly one ending. The ledger in the agent's last result says what has ended, so a
//     change that is delivered again after a crash is recognised.
//  2. For one agent the change that takes effect last wins. An older one is never sent after a newer one, and its ending is
//     stored before the newer one is sent.
//  3. For one agent there is never more than one call under way. If a call gets no answer of the gateway's own, because it
//     timed out or its connection broke, the gateway may still act on it. Until the time-out has passed since it was sent,
//     the agent gets no call for another flag. If a newer change arrives while the call is under way, the older change ends
//     as superseded once the call is over, unless the gateway accepted it, and then the newer one is sent.
//  4. Every call passes the gate: rate, calls in flight, breaker and pause apply to all agents together, to first attempts,
//     retries and reapplied policies alike.
//  5. Waiting for a sign-in, for an instant or for the gate uses no attempt and makes no call.
//  6. A message is acknowledged after the endings of all its changes are stored, and never before.
//
// One goroutine, the event loop, owns all of it and never blocks. Whatever takes time goes out as a call or to the Journal, and
// comes back as an event.
package worker
