package status

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
)

// What the kernel says of a low port depends on who runs the test, so its error is made here.
func TestAddressErrorsSayWhatWouldBeRight(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE:    "address already in use; want an address where no other program listens",
		syscall.EADDRNOTAVAIL: "cannot assign requested address: this machine has no such address; want one that it has, or only :PORT for all of them",
		syscall.EACCES:        "permission denied: low ports are for root and for programs with CAP_NET_BIND_SERVICE; want a port of 1024 or higher",
	} {
		err := explained(&net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", errno)})
		if err.Error() != want {
			t.Errorf("says %q, want %q", err, want)
		}
	}
}

func TestCheckAddressKnowsItsOwnProgram(t *testing.T) {
	s := newStage()
	s.server.Site = "centre.1"
	s.open(t)
	addr := s.server.Address()
	if note, err := CheckAddress(t.Context(), addr, Process{Program: "idleworker", Site: "centre.1"}); err != nil || note == "" {
		t.Errorf("of the same site: %q, %v", note, err)
	}
	for _, other := range []Process{{Program: "idletap", Site: "centre.1"}, {Program: "idleworker", Site: "centre.2"}} {
		if note, err := CheckAddress(t.Context(), addr, other); err == nil || !strings.Contains(err.Error(), "(by idleworker with IDLE_PREFIX=centre.1)") {
			t.Errorf("%v: %q, %v", other, note, err)
		}
	}
	if note, err := CheckAddress(t.Context(), "127.0.0.1:0", Process{}); err != nil || note != "" {
		t.Errorf("a free port: %q, %v", note, err)
	}
}

// Over HTTPS, and without following the answer to another address.
func TestWhoAnswersAsksOnlyThatAddress(t *testing.T) {
	self := Process{Program: "idletap", Site: "centre.1", Port: "8044"}
	ours := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { self.Sign(w.Header()) }))
	defer ours.Close()
	if got := WhoAnswers(t.Context(), ours.Listener.Addr().String()); got != self {
		t.Errorf("%+v answers, want %+v", got, self)
	}
	elsewhere := httptest.NewServer(http.RedirectHandler(ours.URL, http.StatusFound))
	defer elsewhere.Close()
	if got := WhoAnswers(t.Context(), elsewhere.Listener.Addr().String()); got != (Process{}) {
		t.Errorf("%+v answers at another program's address", got)
	}
}
