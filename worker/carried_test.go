package worker

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"idlepolicy/messages"
)

// Whatever text a change and its result both have comes out as it went in, whether the change is applied or rejected.
func TestResultCarriesTheTextsOfItsChange(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		for _, flag := range []string{"true", "yes"} { // applied, rejected
			body, want := map[string]string{"agent_id": "1001", "flag": flag}, map[string]string{}
			for f := range reflect.TypeFor[messages.Result]().Fields() {
				in, both := reflect.TypeFor[messages.Change]().FieldByName(f.Name)
				if !both || in.Type.Kind() != reflect.String || f.Name == "AgentID" || f.Name == "Flag" || f.Name == "BatchID" {
					continue
				}
				name := jsonName(f)
				body[name], want[f.Name] = "a "+f.Name, "a "+f.Name
			}
			text, _ := json.Marshal(body)
			s.publish(string(text))
			v, _ := s.worker.View(s.t.Context())
			r := reflect.ValueOf(v.Last[0])
			for name, text := range want {
				if got := r.FieldByName(name).String(); got != text {
					t.Errorf("flag %s: %s is %q, want %q", flag, name, got, text)
				}
			}
		}
	})
}

// jsonName is the name of a field of a result in JSON, up to its options.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
