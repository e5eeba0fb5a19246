package natstest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePort returns a port of the loopback interface that nobody else is given until the test is over, so that a server can be stopped
// and started again at it. It is below the ports that a system chooses by itself, and a UDP socket keeps it from other tests.
func FreePort(tb testing.TB) int {
	tb.Helper()
	const first, end = 10_000, 32_000
	for range 1000 {
		port := first + rand.IntN(end-first) //nolint:gosec // no secret
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		held, err := net.ListenPacket("udp", address) //nolint:noctx // it returns at once
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address) //nolint:noctx // it returns at once
		if err != nil {
			_ = held.Close()
			continue
		}
		_ = l.Close()
		tb.Cleanup(func() { _ = held.Close() })
		return port
	}
	tb.Fatal("no port is free")
	return 0
}
