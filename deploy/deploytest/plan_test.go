package deploytest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// checkPlanCommand runs a command as a scheduler would, with the sample in the place of the export and no NATS: it reads the
// file and the map, and ends with the status for a site that cannot be reached.
func checkPlanCommand(t *testing.T, command []string) {
	t.Helper()
	if command[0] != "/usr/local/bin/idlectl" || command[1] != "plan" {
		t.Errorf("it starts %q", command)
	}
	args := make([]string, len(command)-1)
	for i, arg := range command[1:] {
		switch {
		case arg == "/var/lib/idlepolicy/roster.csv":
			arg = fromRoot("deploy", "samples", "plans", "vienna-voice.csv")
		case strings.HasPrefix(arg, "/etc/idlepolicy/plans/"):
			arg = fromRoot("deploy", "samples", "plans", filepath.Base(arg))
		}
		args[i] = arg
	}
	run := exec.Command(filepath.Join(bin, "idlectl"), args...)
	run.Env = append(os.Environ(), "IDLE_NATS_URL=nats://127.0.0.1:1")
	out, err := run.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 3 || !bytes.Contains(out, []byte("connect to NATS")) {
		t.Errorf("%q: %v\n%s", args, err, out)
	}
}

func TestPlanService(t *testing.T) {
	unit := read(t, "deploy", "systemd", "idleplan.service")
	checkPlanCommand(t, strings.Fields(setting(t, unit, "ExecStart")))
	checkVariables(t, settings(read(t, "deploy", "systemd", "idleplan.env")))
	if file := setting(t, unit, "EnvironmentFile"); file != "/etc/idlepolicy/idleplan.env" {
		t.Errorf("the settings are in %s", file)
	}
	if at := setting(t, read(t, "deploy", "systemd", "idleplan.timer"), "OnCalendar"); at == "" {
		t.Error("the timer does not say when")
	}
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not here: nobody has looked at the unit")
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"idleplan.service", "idleplan.timer"} {
		text := strings.ReplaceAll(read(t, "deploy", "systemd", name), "/usr/local/bin", bin)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(systemd, "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, "idleplan.service"), filepath.Join(dir, "idleplan.timer")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "idleplan.") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// settings returns the variables of a file of them.
func settings(text string) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") && !strings.Contains(name, " ") {
			env[name] = value
		}
	}
	return env
}

func TestPlanCron(t *testing.T) {
	text := read(t, "deploy", "cron", "idleplan")
	env := settings(text)
	delete(env, "SHELL") // cron's own
	checkVariables(t, env)
	found := false
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 7 && !strings.HasPrefix(line, "#") && fields[5] == "idlepolicy" {
			found = true
			checkPlanCommand(t, fields[6:])
		}
	}
	if !found || !strings.HasSuffix(text, "\n") { // without it cron ignores the last line
		t.Error("cron finds no command")
	}
}

func TestPlanCronJob(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), fromRoot("deploy", "kubernetes", "plan"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range built.Resources() {
		if r.GetKind() != "CronJob" {
			continue
		}
		found = true
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		pod := strictly(t, text, &batchv1.CronJob{}).Spec.JobTemplate.Spec.Template.Spec
		c := pod.Containers[0]
		checkPlanCommand(t, append([]string{"/usr/local/bin/idlectl"}, c.Args...))
		mounted := map[string]bool{}
		for _, m := range c.VolumeMounts {
			mounted[m.Name] = true
		}
		for _, v := range pod.Volumes {
			if !mounted[v.Name] {
				t.Errorf("volume %s is not mounted", v.Name)
			}
		}
		env := map[string]string{}
		for _, e := range c.Env {
			env[e.Name] = e.Value
		}
		checkVariables(t, env)
		if c.Image != "idlectl" || pod.RestartPolicy != "Never" {
			t.Errorf("image %s, restart policy %s", c.Image, pod.RestartPolicy)
		}
	}
	if !found {
		t.Error("there is no CronJob")
	}
	for _, name := range []string{"vienna-voice.yaml", "vienna-voice-agents.csv"} {
		if read(t, "deploy", "kubernetes", "plan", name) != read(t, "deploy", "samples", "plans", name) {
			t.Errorf("%s is not the sample any more", name)
		}
	}
}
