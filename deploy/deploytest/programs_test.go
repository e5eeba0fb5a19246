package deploytest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bin is where the programs are, built from the source around this module. The server comes from the module that the
// programs name, so it has the version that they are tested with.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "idle-deploy-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...", "github.com/nats-io/nats-server/v2")
	build.Dir, build.Stderr = fromRoot(), os.Stderr
	status := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
	} else {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// fromRoot is a path of the repository.
func fromRoot(path ...string) string {
	return filepath.Join(append([]string{"..", ".."}, path...)...)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(fromRoot(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// help is what a program says of itself.
func help(t *testing.T, program string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, program), "--help")
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s -help: %v", program, err)
	}
	return out.String()
}

var (
	variable = regexp.MustCompile(`(?m)^(IDLE_[A-Z_]+)`)
	flagName = regexp.MustCompile(`(?m)^\s+-([a-z-]+)`)
)

// variables are those that the worker and the tap read.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	known := found(variable, help(t, "idleworker"))
	if len(known) < 20 {
		t.Fatalf("idleworker -help names only %d variables", len(known))
	}
	for name := range found(variable, help(t, "idletap")) {
		known[name] = true
	}
	known["GOMEMLIMIT"] = true // the Go runtime's own
	return known
}

func found(what *regexp.Regexp, text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range what.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// checkFlags looks whether a program has the flags that stand in its arguments.
func checkFlags(t *testing.T, program string, args []string) {
	t.Helper()
	known := found(flagName, help(t, program))
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-"); ok && !known[name] {
			t.Errorf("%s has no flag %s", program, a)
		}
	}
}

func checkVariables(t *testing.T, env map[string]string) {
	t.Helper()
	known := variables(t)
	for name := range env {
		if !known[name] {
			t.Errorf("nothing reads the variable %s", name)
		}
	}
}
