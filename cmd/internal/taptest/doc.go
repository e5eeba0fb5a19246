// Package taptest runs idletap as real processes: many desktops go through two taps behind a TCP balancer, while taps and the NATS
// server are killed, restarted and rolled and a real worker applies a shift change. Polls that are held take two open files each in every
// process: 20,000 need a limit of 45,000.
//
//	go test ./cmd/internal/taptest
//	go test ./cmd/internal/taptest -desktops 2000 -span 20s -away 60s -strict -v -timeout 20m
//	go test ./cmd/internal/taptest -run '^$' -bench . -benchtime 20000x -polls 20000
package taptest
