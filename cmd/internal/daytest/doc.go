// Package daytest holds the tests of a contact centre's day: the whole worker, a real NATS server, and the simulated
// gateway over TLS. The schedule comes the evening before, agents sign in when they arrive, sign in again, and some never
// come; workers are stopped and killed in between.
//
// The numbers are small, so that all of it takes seconds. With the flag -full they are those of a large site, and what is
// timed is held against what the product promises:
//
//	go test ./cmd/internal/daytest -full -v
//
// With -show the logs of the workers go to standard error.
package daytest
