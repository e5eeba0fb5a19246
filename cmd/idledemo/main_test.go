package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test's own binary the program.
const asProgram = "BE_THE_DEMONSTRATION"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(runUntilSignal(time.Hour)) // however slow the machine is, the test's signals come in time
	}
	os.Exit(m.Run())
}

// One Ctrl-C can come as two signals, and must not cut the clean stop short.
func TestInterruptThatComesTwice(t *testing.T) {
	var out screen
	program, tmp := exec.CommandContext(t.Context(), os.Args[0], "-", "-serve"), t.TempDir()
	program.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+tmp)
	program.Stdin = strings.NewReader(`{"agent_id":"1001","flag":"true"}`)
	program.Stdout, program.Stderr = &out, &out
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the program to serve", func() bool { return strings.Contains(out.String(), "Everything stays up") })
	for range 20 { // signals that wait to be delivered become one
		if err := program.Process.Signal(syscall.SIGINT); err != nil {
			break // it is gone already
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q (%v)", left, err)
	}
}
