// Package worker holds the scheduling core. It does no I/O: it knows neither NATS nor HTTP. Changes come in, each agent's
// newest one goes to the gateway when the gate lets it through, and each change gets exactly one ending.
//
// The files, in the order in which a change passes through them:
//
//	worker.go     the Worker and the few small interfaces that it needs
//	loop.go       the event loop, which starts all goroutines; mailbox.go takes events to it
//	admit.go      a message comes in; message.go says who still holds it and acknowledges it
//	change.go     a change; lane.go its agent's lane, where the latest wins (cancel.go, reapply.go)
//	schedule.go   what a lane waits for, and why (debounce.go, clock.go); ready.go who is called next; heap.go
//	attempt.go    a call and its answer (call.go); judge.go what becomes of the change (backoff.go)
//	result.go     from an outcome to its place in the ledger, through the agent's outbox (outbox.go); letter.go dead letters;
//	              pipeline.go what an agent whose results are stuck may hold up; reconcile.go what to do if the ledger says
//	              otherwise
//	batch.go      changes that are counted together; generation.go which uses of a batch's ID they belong to; batchquery.go
//	              what the Journal is asked about a batch
//	session.go    who is signed in; control.go what operators ask for
//	view.go       what operators see: coverage.go, forecast.go, wave.go, recent.go, trace.go
//
// Three packages are part of the core: worker/ledger, worker/gate and worker/view.
//
// The rate limit as operators state it is a variable of package config, and how it is kept is gate/bucket.go: the one is what
// is allowed, the other never changes with it. Fields of messages and results are in package messages, return codes in
// gateway/retcode.go. README.md in this folder has the whole list, with the test that fails if a place is forgotten.
//
// What the package promises, whatever order things happen in:
//
//  1. Every delivered change gets exactly one ending. The ledger in the agent's last result says what has ended, so a
//     change that is delivered again after a crash is known.
//  2. For one agent the change that takes effect last wins. An older one is never sent after a newer one was, and its
//     ending is stored before the newer one is sent.
//  3. For one agent there is never more than one call under way.
//  4. No call leaves without the gate: rate, calls under way, breaker and pause hold for all agents together, first
//     attempts, retries and reapplying alike.
//  5. Waiting for a sign-in, for an instant or for the gate to open spends no attempt and makes no call.
//  6. A message is acknowledged once all its changes have their endings stored, and never before.
//
// One goroutine owns all of it and waits for nobody: what takes time goes out as a call or to the Journal, and comes
// back as an event.
package worker
