package stream

import (
	"slices"
	"testing"
)

func TestEpochs(t *testing.T) {
	tests := []struct {
		name            string
		had             epochs
		created, newest int64
		back            bool
		want            epochs
	}{
		{"the first", nil, 10, 0, false, epochs{{10, 10}}},
		{"the first, with results of an older version", nil, 10, 10, false, epochs{{10, 10}}},
		{"known", epochs{{10, 10}}, 10, 10, false, epochs{{10, 10}}},
		{"made anew beside old results", nil, 20, 10, false, epochs{{20, 20}}},
		{"made anew, with a clock that is set back", nil, 5, 10, false, epochs{{11, 5}}},
		{"restored", epochs{{10, 10}}, 20, 10, false, epochs{{10, 10}, {20, 20}}},
		{"restored, and an older version was there first", epochs{{10, 10}}, 20, 20, false, epochs{{10, 10}, {20, 20}}},
		{"restored, with a clock that is set back", epochs{{10, 10}}, 5, 10, false, epochs{{10, 10}, {11, 5}}},
		{"another server leads that names an older time", epochs{{10, 10}, {20, 20}}, 19, 20, false, epochs{{10, 10}, {20, 20}, {21, 19}}},
		{"and back", epochs{{10, 10}, {20, 20}, {21, 19}}, 20, 21, false, epochs{{10, 10}, {20, 20}, {21, 19}}},
		{"the disk lost the last messages", epochs{{10, 10}}, 10, 10, true, epochs{{10, 10}, {11, 10}}},
		{"the same, with results of an older version", nil, 10, 10, true, epochs{{10, 10}, {11, 10}}},
		{"after that", epochs{{10, 10}, {11, 10}}, 10, 11, false, epochs{{10, 10}, {11, 10}}},
		{"made anew beside longer old results", nil, 20, 10, true, epochs{{20, 20}}},
		{"restored beside newer results", epochs{{10, 10}}, 20, 10, true, epochs{{10, 10}, {20, 20}}},
		{"known, with no results yet", epochs{{10, 10}, {20, 20}}, 20, 10, true, epochs{{10, 10}, {20, 20}}},
		{"known, but the results are ahead", epochs{{10, 10}}, 10, 30, false, epochs{{10, 10}, {31, 10}}},
	}
	for _, test := range tests {
		got := test.had.with(test.created, test.newest, test.back)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if again := parseEpochs(got.String()); !slices.Equal(again, got) {
			t.Errorf("%s: %q is read as %v", test.name, got, again)
		}
	}
	for _, text := range []string{"", "!", "a.", "a.b.c", "b a", "a a"} {
		if got := parseEpochs(text); got != nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	var many epochs
	for i := range int64(20) {
		many = many.with(i+1, i, false)
	}
	if len(many) != keepEpochs || many[keepEpochs-1].number != 20 {
		t.Errorf("of many: %v", many)
	}
}
