package messages

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schemas are written by hand. Every body that the tests of this package decode is held against them.
var schemas = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	paths, err := filepath.Glob("schema/*.json")
	compiled := map[string]*jsonschema.Schema{}
	for _, path := range paths {
		s, err := c.Compile(path)
		if err != nil {
			return nil, err
		}
		compiled[strings.TrimSuffix(filepath.Base(path), ".json")] = s
	}
	return compiled, err
})

// fits returns what a schema has against a text; a text that is not JSON fits none.
func fits(t *testing.T, name string, text []byte) error {
	t.Helper()
	compiled, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	if compiled[name] == nil {
		t.Fatalf("no schema of a %s", name)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return compiled[name].Validate(value)
}

// unsaid is what a schema cannot say, by a part of the text that it takes although it is refused.
var unsaid = map[string]string{
	`"effective_at":"2026-11-22T18:00:00+01:00","valid_until":"2026-11-22T17:00:00Z"`:                        "an instant after another",
	`"effective_at":"2026-01-01T00:00:00Z","changes":[{"agent_id":1001,"valid_until":"2025-01-01T00:00:00Z"`: "an instant after another",
	`"1970-01-01T00:59:59+01:00"`:     "the year in UTC",
	`"9999-12-31T23:59:59-01:00"`:     "the year in UTC",
	`"agent_id":1001.0,`:              "how a number is written",
	`"agent_id":1.001e3,`:             "how a number is written",
	`"agent_id":1e3,`:                 "how a number is written",
	`"batch_total":1.0}`:              "how a number is written",
	`"batch_total":1e3}`:              "how a number is written",
	"\"id\":\"a\xff\"":                "text that is not UTF-8",
	`.3","agent_ids":["1001","1001"]`: "how long an id is once it has .2 appended",
}

// checkSchema holds a text against a schema: it must take what is taken here, and refuse the rest save for what it
// cannot say.
func checkSchema(t *testing.T, name string, text []byte, taken bool) {
	t.Helper()
	err := fits(t, name, text)
	excused := slices.ContainsFunc(slices.Collect(maps.Keys(unsaid)), func(part string) bool { return bytes.Contains(text, []byte(part)) })
	switch {
	case taken && err != nil:
		t.Errorf("the schema of a %s refuses %.300s: %v", name, text, err)
	case !taken && err == nil && !excused:
		t.Errorf("the schema of a %s takes %.300s", name, text)
	case !taken && err != nil && excused:
		t.Errorf("the schema of a %s can say what is wrong with %.300s: %v", name, text, err)
	}
}

func TestSchemasTakeWhatIsWritten(t *testing.T) {
	written := map[string]string{"result-*": "result", "batch-summary": "batch-summary", "batch-progress": "batch-progress", "session-*": "session"}
	for pattern, name := range written {
		paths, err := filepath.Glob("testdata/" + pattern + ".json")
		if err != nil || len(paths) == 0 {
			t.Fatalf("no samples of %s: %v", name, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkSchema(t, name, text, true)
		}
	}
}

// Whatever a field of ours is called, the schema has it, and the reverse.
func TestSchemasNameEveryField(t *testing.T) {
	for name, fields := range map[string][]string{
		"change":         append(fieldNames[:], "specversion", "type", "data", "data_base64"),
		"result":         jsonNames(reflect.TypeFor[Result]()),
		"batch-summary":  jsonNames(reflect.TypeFor[BatchSummary]()),
		"batch-progress": jsonNames(reflect.TypeFor[BatchProgress]()),
		"session":        jsonNames(reflect.TypeFor[record]()),
	} {
		compiled, err := schemas()
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		collect(compiled[name], named, map[*jsonschema.Schema]bool{})
		want := slices.Sorted(slices.Values(fields))
		if got := slices.Sorted(maps.Keys(named)); !slices.Equal(got, want) {
			t.Errorf("%s names %v\nwant %v", name, got, want)
		}
	}
}

// jsonNames are the names under which package encoding/json writes the fields of a struct.
func jsonNames(of reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// collect gathers the properties that a schema names, wherever it names them.
func collect(s *jsonschema.Schema, named map[string]bool, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for name, property := range s.Properties {
		named[name] = true
		collect(property, named, seen)
	}
	for _, part := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf, []*jsonschema.Schema{s.Ref, s.If, s.Then, s.Else, s.Items2020}) {
		collect(part, named, seen)
	}
}

func TestSchemasKnowEveryOutcome(t *testing.T) {
	r := sampleResults()[0]
	for _, o := range Outcomes() {
		r.Outcome = o
		checkSchema(t, "result", r.AppendJSON(nil), true)
	}
	for _, spoil := range []func(*Result){
		func(r *Result) { r.Outcome = "done" },
		func(r *Result) { r.AgentID = "100" },
		func(r *Result) { r.ChangeSeq = 0 },
		func(r *Result) { r.ChangeID = "" },
		func(r *Result) { r.BatchID = "a b" },
		func(r *Result) { r.Attempts = -1 },
	} {
		spoiled := r
		spoil(&spoiled)
		checkSchema(t, "result", spoiled.AppendJSON(nil), false)
	}
}

// A result without a field that package encoding/json always writes is none.
func TestSchemasNeedWhatIsAlwaysWritten(t *testing.T) {
	for name, zero := range map[string]any{"result": Result{}, "batch-summary": BatchSummary{}, "batch-progress": BatchProgress{}} {
		full, err := os.ReadFile(map[string]string{
			"result": "testdata/result-applied.json", "batch-summary": "testdata/batch-summary.json", "batch-progress": "testdata/batch-progress.json",
		}[name])
		if err != nil {
			t.Fatal(err)
		}
		var always map[string]any
		if err := json.Unmarshal(indented(t, zero), &always); err != nil {
			t.Fatal(err)
		}
		for field := range always {
			var members map[string]any
			if err := json.Unmarshal(full, &members); err != nil {
				t.Fatal(err)
			}
			delete(members, field)
			checkSchema(t, name, indented(t, members), false)
		}
	}
}
