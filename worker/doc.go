// Package worker is what the product is, in time and memory only: it knows neither NATS nor HTTP. Changes come in, each
// agent's newest one goes to the gateway when the gate lets it through, and each gets exactly one ending.
//
// worker.go has the Worker and the few small interfaces it needs, run.go the event loop, admit.go what comes in, lane.go
// one agent, gate.go the one way to the gateway (its rate in bucket.go and pace.go, what a gateway in trouble gets in
// breaker.go and silence.go), attempt.go a call and its answer, judge.go what becomes of the change, ending.go the way
// from a verdict over the ledger to the acknowledgement, batch.go what counts together, session.go who is signed in,
// control.go what operators ask for, view.go what they see.
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
