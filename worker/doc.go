// Package worker is what the product is, in time and memory only: it knows neither NATS nor HTTP. Changes come in, each
// agent's newest one goes to the gateway when the gate lets it through, and each gets exactly one ending.
//
// worker.go has the Worker and the few small interfaces it needs, run.go the event loop, mailbox.go how events come to
// it, admit.go what comes in, change.go and lane.go a change and its agent's lane (cancel.go: withdrawing; flurry.go: changes
// that keep replacing each other; reapply.go: applying anew), ready.go who is called next as the
// gate lets calls through (package worker/gate), attempt.go a call and its answer, judge.go and backoff.go what becomes of the change, ending.go the way from a verdict over the
// ledger (package worker/ledger) to the acknowledgement (outbox.go: one result of an agent after another; letter.go: dead
// letters), reconcile.go what to do where the ledger says otherwise, batch.go and round.go what counts together, session.go
// who is signed in, control.go what operators ask for, view.go, estimate.go, recent.go and story.go what they see.
//
// The rate limit as operators state it is a variable of package config, and how it is kept is gate/bucket.go: the one is what
// is allowed, the other never changes with it. Fields of messages and results are in package messages, return codes in
// gateway/retcode.go; README has the whole list, with the test that fails where a place was forgotten.
//
// What the package promises, whatever order things happen in:
//
//  1. Every delivered change gets exactly one ending. The ledger in the agent's last result says what has ended, so a
//     change that is delivered again after a crash is known.
//  2. For one agent the change that takes effect last wins. An older one is never sent after a newer one was, and its
//     ending is stored before the newer one is sent.
//  3. For one agent there is never more than one call under way.
//  4. No call leaves without the gate: rate, calls under way, breaker and pause hold for all agents together, first
//     attempts, retries and applying anew alike.
//  5. Waiting for a sign-in, for an instant or for the gate to open spends no attempt and makes no call.
//  6. A message is acknowledged once all its changes have their endings stored, and never before.
//
// One goroutine owns all of it and waits for nobody: what takes time goes out as a call or to the Journal, and comes
// back as an event.
package worker
