package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The service names programs, flags and variables that are there, and grants a stop more time than the worker takes.
func TestServiceNamesWhatIsThere(t *testing.T) {
	for _, program := range []string{"idleworker", "idletap"} {
		t.Run(program, func(t *testing.T) { checkService(t, program) })
	}
}

func checkService(t *testing.T, program string) {
	t.Helper()
	unit, env := read(t, "deploy", "systemd", program+".service"), map[string]string{}
	for line := range strings.Lines(read(t, "deploy", "systemd", program+".env")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = value
		}
	}
	if env["IDLE_GATEWAY_URL"] == "" {
		t.Error("the settings do not say where the gateway is")
	}
	checkVariables(t, env)
	command := strings.Fields(setting(t, unit, "ExecStart"))
	if command[0] != "/usr/local/bin/"+program {
		t.Errorf("it starts %s", command[0])
	}
	checkFlags(t, program, command[1:])
	patience, err := time.ParseDuration(setting(t, unit, "TimeoutStopSec"))
	if grace := 20 * time.Second; err != nil || patience <= grace {
		t.Errorf("a stop may take %v (%v), and the program takes up to %v", patience, err, grace)
	}
}

func setting(t *testing.T, unit, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `=(.+)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit does not set %s", name)
	}
	return m[1]
}

// Where systemd is at hand it is asked as well: a setting that it does not know is one that it leaves out.
func TestServiceIsUnderstood(t *testing.T) {
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not here: nobody has looked at the unit")
		return
	}
	for _, name := range []string{"idleworker.service", "idletap.service"} {
		unit := strings.ReplaceAll(read(t, "deploy", "systemd", name), "/usr/local/bin", bin)
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(systemd, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
		if err != nil || strings.Contains(string(out), name+":") {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}
