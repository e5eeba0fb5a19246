package faulttest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A rule of the design can be turned off for one build of the worker: text of its source is replaced on the way to the
// compiler. So nothing in the product can turn it off.
type rule struct {
	name  string
	edits []edit
}

type edit struct {
	file    string // from the root of the module
	text    *regexp.Regexp
	times   int // that the text stands in it
	instead string
}

var rules = []rule{
	{"lease", []edit{{ // it is looked at before each call, last in the connection's Write
		"worker/stream/lease.go", regexp.MustCompile(`if int64\(now\.Sub\(l\.start\)\).* \{`), 1, "if now.IsZero() {",
	}}},
	{"hold", []edit{{ // after a takeover, agents with unfinished changes wait one gateway time-out
		"worker/stream/acquire.go", regexp.MustCompile(`hold := .*!last\.Released\n`), 1, "hold := last.Released && !last.Released\n",
	}}},
	{"compare", []edit{{ // a result is stored only where the agent's last one is the expected one
		"worker/stream/journal.go", regexp.MustCompile(`(?m)^.*jetstream\.ExpectedLastSubjSeq(Subj)?Header.*\n`), 2, "",
	}}},
	{"ledger", []edit{{ // a new owner reads what has ended before it calls
		"worker/stream/term.go", regexp.MustCompile(`loadLedgers\(loading, .*\)`), 1, "map[string]*ledger.Ledger{}, loading.Err()",
	}}},
	{"order", []edit{{ // an older change's ending is stored before a newer one of the same agent is sent
		"worker/schedule.go", regexp.MustCompile(`case ln\.out\.unsettled\(\):`), 1, "case false:",
	}}},
	{"doubt", []edit{{ // a newer flag waits while an unanswered call may still take effect
		"worker/doubt.go", regexp.MustCompile(`of\.flag != flag \{`), 1, "of.flag != flag && flag == \"\" {",
	}}},
}

const moduleRoot = "../../.."

// TestRulesCanBeTurnedOff keeps the texts above in line with the source.
func TestRulesCanBeTurnedOff(t *testing.T) {
	for _, r := range rules {
		if _, err := r.off(); err != nil {
			t.Errorf("rule %s: %v; find out how it is turned off now", r.name, err)
		}
	}
}

// off returns the sources of the worker without the rule, by their files.
func (r rule) off() (map[string]string, error) {
	sources := map[string]string{}
	for _, e := range r.edits {
		file, err := filepath.Abs(filepath.Join(moduleRoot, e.file))
		if err != nil {
			return nil, err
		}
		text, seen := sources[file]
		if !seen {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := len(e.text.FindAllString(text, -1)); n != e.times {
			return nil, fmt.Errorf("%s holds %q %d times, want %d", e.file, e.text, n, e.times)
		}
		sources[file] = e.text.ReplaceAllLiteralString(text, e.instead)
	}
	return sources, nil
}

// without builds the worker without some rules, whose names are joined by "+".
func without(t *testing.T, off string) programs {
	t.Helper()
	dir := t.TempDir()
	overlay := map[string]string{}
	for name := range strings.SplitSeq(off, "+") {
		for file, text := range find(t, name) {
			if overlay[file] != "" {
				t.Fatalf("two of the rules %s stand in %s", off, file)
			}
			overlay[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay)))
			if err := os.WriteFile(overlay[file], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := built
	if p.worker, err = Build(filepath.Join(dir, "worker"), WorkerProgram, "-overlay", list); err != nil {
		t.Fatal(err)
	}
	return p
}

func find(t *testing.T, name string) map[string]string {
	t.Helper()
	var known []string
	for _, r := range rules {
		if known = append(known, r.name); r.name != name {
			continue
		}
		sources, err := r.off()
		if err != nil {
			t.Fatal(err)
		}
		return sources
	}
	t.Fatalf("no rule is named %q, only %s", name, strings.Join(known, ", "))
	return nil
}
