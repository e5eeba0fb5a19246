package view

import (
	"encoding/json"
	"maps"
	"testing"
)

func TestReasonsHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || r.Sentence() == "" || seen[r.String()] || seen[r.Sentence()] {
			t.Errorf("reason %d: %q, %q", r, r.String(), r.Sentence())
		}
		seen[r.String()], seen[r.Sentence()] = true, true
		var back Reason
		if err := back.UnmarshalText([]byte(r.String())); err != nil || back != r {
			t.Errorf("%v is read back as %v, %v", r, back, err)
		}
	}
	var r Reason
	if err := r.UnmarshalText([]byte("what a newer worker says")); err != nil || r != Unknown {
		t.Errorf("%v, %v", r, err)
	}
}

func TestCountsInJSON(t *testing.T) {
	counts := Counts{Gate: 3, SignIn: 2, Storing: 1}
	text, err := json.Marshal(counts)
	if err != nil || string(text) != `{"gate":3,"sign-in":2,"storing":1}` {
		t.Errorf("%s, %v", text, err)
	}
	var back Counts
	if err := json.Unmarshal(text, &back); err != nil || !maps.Equal(back, counts) {
		t.Errorf("%v, %v", back, err)
	}
	if counts.All() != 6 || counts.Of(Gate, Storing, Hold) != 4 {
		t.Errorf("sums %d and %d", counts.All(), counts.Of(Gate, Storing, Hold))
	}
}
