package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Listen listens on addr. Its error says what is wrong with the address and what would be right.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, explained(err)
	}
	return l, nil
}

// explained returns the error of a listener in words that say what to do.
func explained(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; want an address where no other program listens", syscall.EADDRINUSE)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine has no such address; want one that it has, or only :PORT for all of them", syscall.EADDRNOTAVAIL)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: low ports are for root and for programs with CAP_NET_BIND_SERVICE; want a port of 1024 or higher", syscall.EACCES)
	}
	return err
}

// Process is a process that answers /healthz, as its header Idle-Process says. With it -check tells the service that runs beside it
// from a program that is in its way.
type Process struct {
	Program string // idleworker or idletap
	Site    string // its IDLE_PREFIX
	Port    string // where desktops reach a tap
}

const processHeader = "Idle-Process"

// Sign adds the process to the header of an answer.
func (p Process) Sign(h http.Header) {
	h.Set(processHeader, strings.TrimSpace(p.Program+" "+p.Site+" "+p.Port))
}

// WhoAnswers asks which process answers /healthz at an address of this machine. It returns the zero Process if none of ours does.
func WhoAnswers(ctx context.Context, addr string) Process {
	if addr == "" {
		return Process{}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	response, err := get(ctx, addr, "/healthz")
	if err != nil {
		return Process{}
	}
	_ = response.Body.Close() // only its header counts
	fields := append(strings.Fields(response.Header.Get(processHeader)), "", "", "")
	return Process{Program: fields[0], Site: fields[1], Port: fields[2]}
}

// CheckAddress reports whether self could listen on addr, which it takes for a moment. If the same program of the same site listens
// there already, as it does when -check runs beside the service, that is no error, and the note says so.
func CheckAddress(ctx context.Context, addr string, self Process) (note string, err error) {
	l, err := Listen(ctx, addr)
	if err == nil {
		return "", l.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return "", err
	}
	switch there := WhoAnswers(ctx, addr); {
	case there.Program == self.Program && there.Site == self.Site:
		return OursAlready(self.Program), nil
	case there.Program != "":
		return "", fmt.Errorf("%w (by %s with IDLE_PREFIX=%s)", err, there.Program, there.Site)
	}
	return "", err
}

// OursAlready is the note of a check that finds the program where it wanted to listen.
func OursAlready(program string) string {
	return program + " of this site listens there already; a second one on this machine needs another address"
}
