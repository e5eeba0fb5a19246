package stream

import (
	"slices"
	"testing"
)

func TestIncarnations(t *testing.T) {
	tests := []struct {
		name            string
		had             incarnations
		created, newest int64
		back            bool
		want            incarnations
	}{
		{"the first", nil, 10, 0, false, incarnations{{10, 10}}},
		{"the first, with results of an older version", nil, 10, 10, false, incarnations{{10, 10}}},
		{"known", incarnations{{10, 10}}, 10, 10, false, incarnations{{10, 10}}},
		{"created again beside old results", nil, 20, 10, false, incarnations{{20, 20}}},
		{"created again, with a clock that is set back", nil, 5, 10, false, incarnations{{11, 5}}},
		{"restored", incarnations{{10, 10}}, 20, 10, false, incarnations{{10, 10}, {20, 20}}},
		{"restored, and an older version was there first", incarnations{{10, 10}}, 20, 20, false, incarnations{{10, 10}, {20, 20}}},
		{"restored, with a clock that is set back", incarnations{{10, 10}}, 5, 10, false, incarnations{{10, 10}, {11, 5}}},
		{"another server leads that names an older time", incarnations{{10, 10}, {20, 20}}, 19, 20, false, incarnations{{10, 10}, {20, 20}, {21, 19}}},
		{"and back", incarnations{{10, 10}, {20, 20}, {21, 19}}, 20, 21, false, incarnations{{10, 10}, {20, 20}, {21, 19}}},
		{"the disk lost the last messages", incarnations{{10, 10}}, 10, 10, true, incarnations{{10, 10}, {11, 10}}},
		{"the same, with results of an older version", nil, 10, 10, true, incarnations{{10, 10}, {11, 10}}},
		{"after that", incarnations{{10, 10}, {11, 10}}, 10, 11, false, incarnations{{10, 10}, {11, 10}}},
		{"created again beside longer old results", nil, 20, 10, true, incarnations{{20, 20}}},
		{"restored beside newer results", incarnations{{10, 10}}, 20, 10, true, incarnations{{10, 10}, {20, 20}}},
		{"known, with no results yet", incarnations{{10, 10}, {20, 20}}, 20, 10, true, incarnations{{10, 10}, {20, 20}}},
		{"known, but the results are ahead", incarnations{{10, 10}}, 10, 30, false, incarnations{{10, 10}, {31, 10}}},
	}
	for _, test := range tests {
		got := test.had.with(test.created, test.newest, test.back)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if again := parseIncarnations(got.String()); !slices.Equal(again, got) {
			t.Errorf("%s: %q is read as %v", test.name, got, again)
		}
	}
	for _, text := range []string{"", "!", "a.", "a.b.c", "b a", "a a"} {
		if got := parseIncarnations(text); got != nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	var many incarnations
	for i := range int64(20) {
		many = many.with(i+1, i, false)
	}
	if len(many) != keepIncarnations || many[keepIncarnations-1].number != 20 {
		t.Errorf("of many: %v", many)
	}
}
