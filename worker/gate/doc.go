// Package gate is the one way to the gateway. Every call asks it first and reports how it ended; the gate decides
// when calls may go, from a few plain facts, without I/O, goroutines or a clock of its own.
//
// It has five mechanisms, each with one purpose:
//
//   - bucket (bucket.go): the rate that operators allow, exact in every window, for all addresses together.
//   - hold (retryafter.go): Retry-After stops everybody, for ten minutes at most.
//   - breaker (breaker.go), one for each address: tells an outage or a hang from noise, and then sends single probes. Ten
//     faults in a row trip it (faultrow.go).
//   - limit (limit.go), one for each address: finds how many calls a gateway takes that refuses some for lack of room.
//   - share (gate.go): no address may take all the calls in flight while others are in use.
//
// Noise slows nobody down. A call that failed at random is retried by its own change after its own pause; the gate only
// acts where a whole row of calls failed, or where fewer calls meant fewer refusals.
//
// # Whose ideas these are
//
// Judging by ratios in recent history instead of by single events is the SRE book's adaptive throttling ("Handling
// Overload"): a client that sees most of its calls refused sends as many as are accepted, and a few more. We take
// the count of accepted calls in the last second as the first estimate of what the gateway takes. We do not take the
// random dropping: our calls can wait.
//
// Remembering that figure, staying just below it, and probing upwards along a cubic curve that is flat near the last
// refusal is CUBIC (RFC 9438), as the AWS SDKs use it for their adaptive retry mode. Our cut is much smaller than
// theirs, because a count of accepted calls is a better estimate than the rate at which a refusal was seen.
//
// That the limit belongs to one upstream, and that latency is learned from good answers alone, is what Netflix's
// concurrency-limits, Envoy's adaptive concurrency and failsafe-go's adaptive limiter do. Their gradient of latencies is
// left out: a gateway's answers take as long as its switch takes, which says nothing of its load.
//
// The half-open state with single probes is the circuit breaker as failsafe-go and others have it. New is what trips
// it: a row of faults in the order of sending, whose length is chosen so that noise does not reach it ([row]), and that
// a refusal counts as lack of room only if sending less helped ([limit]).
package gate
