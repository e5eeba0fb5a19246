// Package faulttest runs the real programs as processes and kills, freezes and restarts them while changes flow, and
// counts afterwards what became of every change, from outside: from what the stream accepted, the results and the
// gateway's record.
//
// The short form is part of all tests. The long form prints its seed, the faults and the counts:
//
//	go test ./cmd/internal/faulttest -v -run TestFaults -faults.for=10m -faults.replicas=1 -timeout 20m
//	go test ./cmd/internal/faulttest -v -run TestFaults -faults.for=10m -faults.replicas=3 -timeout 20m
//
// The seed decides what is done and when; how processes and servers meet it is up to the machine.
package faulttest
