//go:build unix

package gateway

import (
	"errors"
	"syscall"
)

// quiet tells whether nothing has come on a line that waits: a gateway that closes it says so there, and a call on it
// would be lost without the gateway's fault.
func (l *line) quiet() bool {
	socket, ok := l.raw.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var came error
	err = raw.Control(func(fd uintptr) {
		_, _, came = syscall.Recvfrom(int(fd), l.end[:], syscall.MSG_PEEK)
	})
	return err == nil && errors.Is(came, syscall.EAGAIN)
}
