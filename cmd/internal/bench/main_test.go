package bench

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var (
	full     = flag.Bool("full", false, "measure; without it the scenarios are tiny")
	rounds   = flag.Int("rounds", 3, "how many times each scenario is run")
	scenario = flag.String("scenario", "", "regular expression for the names of the scenarios to run; empty: all")
)

// roleVariable says which part the test's own program plays in a process of its own.
const roleVariable = "IDLEBENCH_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	flag.Parse()
	if !*full {
		_ = flag.Set("test.parallel", "8") // tiny scenarios mostly wait
	}
	os.Exit(run(m))
}

var buildDir string // for programs that are built

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "bench"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

// sized returns how much of something a scenario takes: for a measurement, and for a test of it.
func sized[T any](measure, test T) T {
	if *full {
		return measure
	}
	return test
}
