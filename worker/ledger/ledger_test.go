package ledger

import (
	"testing"
	"time"
)

func TestEffectOrder(t *testing.T) {
	now := func(seq uint64, at int64) Effect {
		return Effect{At: at, Pos: Position{1, seq, 0}}
	}
	later := func(seq uint64, at int64) Effect {
		return Effect{At: at, Pos: Position{1, seq, 0}, Later: true}
	}
	tests := []struct {
		name string
		e, f Effect
		want bool
	}{
		{"immediate by publication", now(2, 10), now(1, 10), true},
		{"immediate by publication, whatever the clocks say", now(2, 10), now(1, 20), true},
		{"immediate, published before", now(1, 20), now(2, 10), false},
		{"later by instant", later(1, 20), later(2, 10), true},
		{"later at the same instant by publication", later(2, 20), later(1, 20), true},
		{"later after an immediate one", later(1, 20), now(2, 10), true},
		{"immediate after a later one", now(2, 30), later(1, 20), true},
		{"immediate before a later one", now(2, 10), later(1, 20), false},
		{"same message", Effect{At: 5, Pos: Position{1, 1, 1}}, Effect{At: 5, Pos: Position{1, 1, 0}}, true},
		{"stream created again", Effect{At: 5, Pos: Position{2, 1, 0}}, Effect{At: 5, Pos: Position{1, 9, 0}}, true},
		{"itself", later(1, 20), later(1, 20), false},
	}
	for _, test := range tests {
		if got := test.e.Newer(test.f); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestRecentWindowAndBound(t *testing.T) {
	minute := int64(time.Minute)
	var l Ledger
	l.Remember(7, 10*minute)
	tests := []struct {
		hash   uint64
		stored int64
		want   bool
	}{
		{7, 10*minute + 1, true},
		{7, 20 * minute, true},
		{7, 20*minute + 1, false},
		{7, 10 * minute, false},
		{7, 9 * minute, false},
		{8, 11 * minute, false},
		{0, 11 * minute, false},
	}
	for _, test := range tests {
		if got := l.SameAsRecent(test.hash, test.stored); got != test.want {
			t.Errorf("hash %d stored %v: %v", test.hash, time.Duration(test.stored), got)
		}
	}
	l.Remember(0, 11*minute)
	l.Remember(7, 10*minute)
	if len(l.Recent) != 1 {
		t.Errorf("recent %v", l.Recent)
	}
	for i := range int64(100) {
		l.Remember(uint64(100+i), 12*minute+i)
	}
	if len(l.Recent) != maxRecent || l.Recent[maxRecent-1].Hash != 199 || l.SameAsRecent(7, 12*minute) {
		t.Errorf("%d recent: %v", len(l.Recent), l.Recent)
	}
	l.Remember(300, 40*minute)
	if len(l.Recent) != 1 {
		t.Errorf("those of long ago are kept: %v", l.Recent)
	}
}

func TestHashID(t *testing.T) {
	if HashID("") != 0 || HashID("a") == 0 || HashID("a") == HashID("b") {
		t.Error("hashes of message IDs")
	}
}
