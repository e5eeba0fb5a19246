package status

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// queries are the expressions of the dashboard and of the alerts, by the file they stand in.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	var dashboard any
	if err := json.Unmarshal([]byte(readDeploy(t, "grafana/idlepolicy.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{"grafana/idlepolicy.json": expressions(dashboard)}
	alerts := readDeploy(t, "monitoring/alerts.yml")
	// From "expr:" to the next key of the rule.
	for _, m := range regexp.MustCompile(`(?s)\n        expr: (.*?)\n        \w`).FindAllStringSubmatch(alerts, -1) {
		all["monitoring/alerts.yml"] = append(all["monitoring/alerts.yml"], m[1])
	}
	return all
}

// expressions finds every "expr" in a document.
func expressions(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && key == "expr" {
				all = append(all, text)
			}
			all = append(all, expressions(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, expressions(value)...)
		}
	}
	return all
}

// A dashboard or an alert that asks for a metric or a label that is not there shows nothing, for ever.
func TestDashboardAndAlertsAskForWhatIsThere(t *testing.T) {
	_, _, body := newStage().busy().open(t).get(t, "/metrics")
	ours := regexp.MustCompile(`\b(?:` + prefix + `|process_|go_)\w+`)
	label := regexp.MustCompile(`(\w+)(=|!=|=~)"([^"]*)"`)
	exported := ours.FindAllString(body, -1)
	for file, expressions := range queries(t) {
		if len(expressions) < 15 {
			t.Errorf("%s: only %d expressions were found", file, len(expressions))
		}
		for _, e := range expressions {
			for _, name := range ours.FindAllString(e, -1) {
				if !slices.Contains(exported, name) {
					t.Errorf("%s asks for %s, which is not exported: %s", file, name, e)
				}
			}
			for _, m := range label.FindAllStringSubmatch(e, -1) {
				for value := range strings.SplitSeq(m[3], "|") {
					if m[1] != "site" && !strings.Contains(body, m[1]+`="`+value+`"`) {
						t.Errorf("%s asks for %s=%q, which is not exported: %s", file, m[1], value, e)
					}
				}
			}
		}
	}
}

// Whoever is woken by an alert finds in deploy/README.md what to do, and each has been seen to come.
func TestAlertsHaveARunbookAndATrial(t *testing.T) {
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(readDeploy(t, "monitoring/alerts.yml"), -1)
	if len(names) < 10 {
		t.Fatalf("only %d alerts were found", len(names))
	}
	runbook, trials := readDeploy(t, "README.md"), readDeploy(t, "monitoring/alerts_test.yml")
	for _, name := range names {
		if !strings.Contains(runbook, "\n### "+name[1]+"\n") {
			t.Errorf("deploy/README.md does not say what to do about %s", name[1])
		}
		if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(trials) {
			t.Errorf("monitoring/alerts_test.yml does not try %s", name[1])
		}
	}
}

// A return code that the metrics know by name has a line in the table that says what to do about it.
func TestReturnCodesAreExplained(t *testing.T) {
	text := readDeploy(t, "README.md")
	for _, code := range knownRetcodes {
		if !strings.Contains(text, "`"+code+"`") {
			t.Errorf("deploy/README.md does not explain %s", code)
		}
	}
	for _, o := range outcomes {
		if !strings.Contains(text, "\n| `"+string(o)+"` |") {
			t.Errorf("deploy/README.md does not explain the outcome %s", o)
		}
	}
}
