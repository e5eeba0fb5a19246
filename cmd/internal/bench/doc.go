// Package bench measures the worker beside the same loop written by hand, which keeps none of its promises: messages
// out of the stream, a call for each, a result, an acknowledgement.
//
// The NATS server, the simulated gateway (over TLS) and what is measured are processes of their own, so that what one
// costs is not counted for another. Both sides meet the same scenario in turns, each time with a fresh server.
//
//	go test ./cmd/internal/bench -run TestTable -full -v -timeout 1h    the table in deploy/COSTS.md
//	go test ./cmd/internal/bench -run TestGrowth -full -v -timeout 1h   what the number of waiting changes costs
//	go test ./cmd/internal/bench -run 'TestPlan|TestStorm' -full -v     a day plan; 20,000 sign-ins with new GUIDs
//	go test ./cmd/internal/bench -run TestPosts -full -v                changes over HTTP beside publishes through JetStream
//	go test ./cmd/internal/bench -run TestSites -full -v                twenty idle sites on one NATS server
//	go test ./cmd/internal/bench -run '^$' -bench . -benchtime 20000x   changes per second and allocations
//
// -rounds says how many times each scenario is run (3; the table shows medians), and -scenario picks some of them.
// With IDLEBENCH_PROFILE=DIR each process writes a CPU profile there. Without -full the same scenarios run once and tiny: that is a test of the measuring, not a measurement.
package bench
