package sheet

import (
	"encoding/json"
	"testing"
)

// Each column fills the field of its own name, and not another one.
func TestColumnsFillTheirFields(t *testing.T) {
	for _, column := range columns {
		var r row
		*r.field(column) = "x"
		body, _ := json.Marshal(&r)
		if want := `{"` + column + `":"x"}`; string(body) != want {
			t.Errorf("column %s gives %s, want %s", column, body, want)
		}
	}
}
