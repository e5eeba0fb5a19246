package plan_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"idlepolicy/cmd/internal/plan/mapping"
)

// The schema for editors knows exactly the keys of a map, and accepts every ready map.
func TestSchemaOfMaps(t *testing.T) {
	file := filepath.Join(samples, "map.schema.json")
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sampleNames(t) {
		text, err := os.ReadFile(filepath.Join(samples, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	var has []string
	for name, p := range keys.Properties {
		has = append(has, name)
		for below := range p.Properties {
			has = append(has, name+"."+below)
		}
	}
	slices.Sort(has)
	if want := mapping.Keys(); !slices.Equal(has, want) {
		t.Errorf("the schema has %q, want %q", has, want)
	}
	if err := schema.Validate(map[string]any{"name": "x", "agent": "a", "start": "s", "activities": map[string]any{}, "agnet": "a"}); err == nil {
		t.Error("the schema accepts an unknown key")
	}
}
