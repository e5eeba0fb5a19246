package faulttest

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"time"
)

// The programs that tests run.
const (
	WorkerProgram = "idlepolicy/cmd/idleworker"
	ServerProgram = "github.com/nats-io/nats-server/v2"
)

// buildWithin is generous: a machine that has never built a server has to compile all of it first.
const buildWithin = 5 * time.Minute

// Build builds a program of this module, or of one that it needs, into a folder and returns the program's path.
func Build(dir, program string, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildWithin)
	defer cancel()
	file := filepath.Join(dir, path.Base(program))
	args := append([]string{"build", "-o", file}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, program)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return file, nil
}
