// Tests of the program itself, from outside: as a process with an environment, between a NATS server and a simulated
// gateway. The simulator speaks TLS.
package main_test

import (
	"fmt"
	"os"
	"testing"

	"idlepolicy/cmd/internal/faulttest"
)

// program is the path of the worker. TestMain builds it once.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "idleworker")
	if err == nil {
		defer os.RemoveAll(dir)
		program, err = faulttest.Build(dir, faulttest.WorkerProgram)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
