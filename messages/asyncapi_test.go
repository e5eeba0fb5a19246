package messages

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is the part of the AsyncAPI document that the tests look into.
type document struct {
	AsyncAPI string `json:"asyncapi"`
	Channels map[string]struct {
		Address    string                     `json:"address"`
		Parameters map[string]json.RawMessage `json:"parameters"`
		Messages   map[string]struct {
			Ref string `json:"$ref"`
		} `json:"messages"`
	} `json:"channels"`
	Operations map[string]struct {
		Action  string `json:"action"`
		Channel struct {
			Ref string `json:"$ref"`
		} `json:"channel"`
	} `json:"operations"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func asyncapi(t *testing.T) (d document) {
	t.Helper()
	text, err := os.ReadFile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil || !strings.HasPrefix(d.AsyncAPI, "3.") {
		t.Fatalf("no AsyncAPI 3: %q, %v", d.AsyncAPI, err)
	}
	return d
}

// named are the addresses that the methods of Names lead to; nil: nothing that is a channel of its own.
func named() map[string][]string {
	n, kv := Names{"{prefix}"}, Names{"{bucket}"}
	bucket := func(name string) []string { return []string{"$KV." + name + ".{agent}"} }
	return map[string][]string{
		"Changes":        {n.Changes()},
		"ChangesAll":     {strings.Replace(n.ChangesAll(), ">", "{topic}", 1)},
		"Result":         {n.Result("{outcome}", "{agent}")},
		"Batch":          {n.Batch("{batch_id}")},
		"BatchProgress":  {n.BatchProgress("{batch_id}")},
		"Dead":           {n.Dead("{agent}")},
		"SessionsBucket": bucket(kv.SessionsBucket()),
		"AppliedBucket":  bucket(kv.AppliedBucket()),
		"AgentResults":   nil, // matches channels that have a name
		"ResultsAll":     nil,
		"BatchAll":       nil,
		"DeadAll":        nil,
		"ChangesStream":  nil, // holds them
		"ResultsStream":  nil,
		"DeadStream":     nil,
		"ControlBucket":  nil, // is between the workers
		"PlansBucket":    nil, // is idlectl plan's own

		"ParseResultSubject": nil,
	}
}

func TestAsyncAPINamesEverySubject(t *testing.T) {
	names := named()
	for method := range reflect.TypeFor[Names]().Methods() {
		if _, known := names[method.Name]; !known {
			t.Errorf("Names.%s: a channel or not?", method.Name)
		}
	}
	var want, got []string
	for _, addresses := range names {
		want = append(want, addresses...)
	}
	d := asyncapi(t)
	for name, c := range d.Channels {
		got = append(got, c.Address)
		var parameters []string
		for _, p := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(c.Address, -1) {
			parameters = append(parameters, p[1])
		}
		slices.Sort(parameters)
		if described := slices.Sorted(maps.Keys(c.Parameters)); !slices.Equal(described, parameters) {
			t.Errorf("%s: parameters %v, want %v", name, described, parameters)
		}
		if len(c.Messages) == 0 {
			t.Errorf("%s: carries no message", name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("channels %q\nwant %q", got, want)
	}
}

func TestAsyncAPIUsesEveryChannel(t *testing.T) {
	d := asyncapi(t)
	used := map[string]bool{}
	for name, o := range d.Operations {
		if o.Action != "send" && o.Action != "receive" {
			t.Errorf("%s: action %q", name, o.Action)
		}
		used[strings.TrimPrefix(o.Channel.Ref, "#/channels/")] = true
	}
	if got, want := slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(d.Channels)); !slices.Equal(got, want) {
		t.Errorf("used %v, want %v", got, want)
	}
}

func TestAsyncAPIKnowsEveryOutcome(t *testing.T) {
	var outcome struct{ Enum []Outcome }
	if err := json.Unmarshal(asyncapi(t).Channels["results"].Parameters["outcome"], &outcome); err != nil || !slices.Equal(outcome.Enum, Outcomes()) {
		t.Errorf("got %v, %v; want %v", outcome.Enum, err, Outcomes())
	}
}

func TestAsyncAPINamesEveryHeader(t *testing.T) {
	headers := asyncapi(t).Components.Schemas
	r := sampleResults()[0]
	want := []string{MsgIDHeader, TraceParentHeader, TraceStateHeader}
	for _, h := range r.CloudEvent(Names{"idlepolicy"}, "7") {
		want = append(want, h[0])
	}
	for name, want := range map[string][]string{
		"changeHeaders": want[:3], "resultHeaders": want, "deadLetterHeaders": {ResultHeader, CutHeader, HeadersHeader},
	} {
		if got := slices.Sorted(maps.Keys(headers[name].Properties)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Each $ref of the document and of the schemas leads to something.
func TestReferencesResolve(t *testing.T) {
	paths, err := filepath.Glob("schema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range append(paths, "asyncapi.json") {
		for _, ref := range references(read(t, path)) {
			found++
			file, pointer, _ := strings.Cut(ref, "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if !resolves(read(t, target), pointer) {
				t.Errorf("%s: %s leads nowhere", path, ref)
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d references", found)
	}
}

func read(t *testing.T, path string) (v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return v
}

func references(v any) (refs []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if ref, ok := member.(string); ok && name == "$ref" {
				refs = append(refs, ref)
			}
			refs = append(refs, references(member)...)
		}
	case []any:
		for _, element := range v {
			refs = append(refs, references(element)...)
		}
	}
	return refs
}

func resolves(v any, pointer string) bool {
	if pointer == "" {
		return v != nil
	}
	for _, name := range strings.Split(pointer, "/")[1:] {
		members, _ := v.(map[string]any)
		if v = members[name]; v == nil {
			return false
		}
	}
	return true
}
