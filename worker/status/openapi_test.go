package status

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

var update = flag.Bool("update", false, "write the schemas of messages/openapi.json again, from the types of the answers")

// document is what the tests read of the OpenAPI document.
type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

func described(t *testing.T) (d document) {
	t.Helper()
	if err := json.Unmarshal(messages.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The document has the routes that the server has, and no others.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	s.open(t)
	var got []string
	for path, methods := range described(t).Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(got)
	want := []string{
		"GET /api/agents/{agent}", "GET /api/batches/{batch}", "GET /api/openapi.json", "GET /api/results", "GET /api/status", "POST /api/changes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the document has %q, want %q", got, want)
	}
	for _, route := range got {
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{agent}", "1001", "{batch}", "b").Replace(path)
		if code := s.do(t, method, path, nil, "", "").StatusCode; code == http.StatusNotFound || code == http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", route, code)
		}
		for _, other := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
			if code := s.do(t, other, path, nil, "", "").StatusCode; code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status %d", other, path, code)
			}
		}
	}
}

// The document has the fields that the answers have, with their types, and no others.
func TestOpenAPIHasEveryField(t *testing.T) {
	all := schemas{}
	for _, v := range []any{
		site{}, desk.Explanation{}, desk.Overview{}, messages.Result{}, messages.BatchSummary{}, messages.BatchProgress{}, Receipt{}, problems{},
	} {
		all.of(reflect.TypeOf(v))
	}
	all["Error"] = map[string]any{
		"type": "object", "properties": map[string]any{"error": map[string]any{"type": "string"}}, "required": []string{"error"}, "additionalProperties": false,
	}
	all["Status"].(map[string]any)["properties"].(map[string]any)["streams"] = nullable(ref("Overview"))
	if *update {
		all.write(t)
		return
	}
	got, want := described(t).Components.Schemas, map[string]any{}
	text, err := json.Marshal(all)
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("the document has for %s\n%v\nwant\n%v\n(go test ./worker/status -run OpenAPI -update writes it)", name, got[name], want[name])
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("the document has the schema %s, which no answer has", name)
	}
}

// schemas are JSON Schemas by the name of their type.
type schemas map[string]any

func ref(name string) map[string]any { return map[string]any{"$ref": "#/components/schemas/" + name} }

func nullable(schema any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
}

// names are those types that are called otherwise outside.
var names = map[string]string{"site": "Status", "problems": "Problems", "readiness": "Readiness", "point": "Point", "signIns": "SignIns"}

func (s schemas) of(t reflect.Type) any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case reflect.Slice:
		return nullable(map[string]any{"type": "array", "items": s.of(t.Elem())})
	case reflect.Map:
		return nullable(map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())})
	case reflect.Struct:
		return s.object(t)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	default:
		return map[string]any{"type": "integer"}
	}
}

func (s schemas) object(t reflect.Type) any {
	name := t.Name()
	if other := names[name]; other != "" {
		name = other
	}
	if s[name] != nil {
		return ref(name)
	}
	properties, required := map[string]any{}, []string{}
	s[name] = map[string]any{} // it may hold itself
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || tag == "-" {
			continue
		}
		properties[tag] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, tag)
		}
	}
	s[name] = map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	return ref(name)
}

func (s schemas) write(t *testing.T) {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(messages.OpenAPI, &whole); err != nil {
		t.Fatal(err)
	}
	whole["components"].(map[string]any)["schemas"] = s
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(whole); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("../../messages/openapi.json", text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
