package worker

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

const full = "v=1 d=76xfr58qsqo0.2s.4 n=76xfr58qsqo0.2s.4.76xfr58qsqo0.l.c+1%2F%C3%A4 s=a.b.c r=4qpz.1,zz.2 o=1.0.3.0,2.1.0.7"

func FuzzLedger(f *testing.F) {
	f.Add(full)
	for _, text := range []string{"", "v=1", "v=2 d=1.1.1", "v=1 d=1", "v=1 n=1.1.1.1.i.%zz", "v=1 o=1", "v=1 r=", "v=1 s=1.2.3 x=9", "v=1 d=-1.-1.-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first, second Ledger
		if first.UnmarshalText([]byte(text)) != nil {
			return
		}
		again, err := first.AppendText(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.UnmarshalText(again); err != nil {
			t.Fatalf("%q from %q: %v", again, text, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%q:\n%+v\n%q:\n%+v", text, first, again, second)
		}
	})
}

func TestLedgerText(t *testing.T) {
	var l Ledger
	if err := l.UnmarshalText([]byte(full)); err != nil {
		t.Fatal(err)
	}
	epoch := l.Done.Epoch
	want := Ledger{
		Done: Position{epoch, 100, 4}, Newest: Effect{At: epoch, Pos: Position{epoch, 100, 4}, ID: "c 1/ä", Later: true},
		SignIn: SignIn{10, 11, 12}, Recent: []Recent{{221255, 1}, {1295, 2}},
		Open: []Open{{Position{epoch, 1, 0}, 3, 0}, {Position{epoch, 2, 1}, 0, 7}},
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
	if text, _ := l.AppendText(nil); string(text) != full {
		t.Errorf("got  %q\nwant %q", text, full)
	}
}

func TestLedgerRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{"", " ", "v=2", "v=2 d=1.1.1", "d=1.1.1", "v=1 d=1.1", "v=1 d=1.1.!", "v=1 n=1.1.1.1.i", "v=1 r=1", "v=1 o=1.1.1"} {
		l := Ledger{}
		if err := l.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, l)
		}
	}
	if err := new(Ledger).UnmarshalText([]byte("v=1 d=1.1.1 z=what.comes.later")); err != nil {
		t.Errorf("a further field: %v", err)
	}
}

func TestEffectOrder(t *testing.T) {
	now := func(seq uint64, at int64) Effect { return Effect{At: at, Pos: Position{1, seq, 0}} }
	later := func(seq uint64, at int64) Effect { return Effect{At: at, Pos: Position{1, seq, 0}, Later: true} }
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
		{"stream made anew", Effect{At: 5, Pos: Position{2, 1, 0}}, Effect{At: 5, Pos: Position{1, 9, 0}}, true},
		{"itself", later(1, 20), later(1, 20), false},
	}
	for _, test := range tests {
		if got := test.e.newer(test.f); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestRecentWindowAndBound(t *testing.T) {
	minute := int64(time.Minute)
	var l Ledger
	l.remember(7, 10*minute)
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
	l.remember(0, 11*minute)
	l.remember(7, 10*minute)
	if len(l.Recent) != 1 {
		t.Errorf("recent %v", l.Recent)
	}
	for i := range int64(100) {
		l.remember(uint64(100+i), 12*minute+i)
	}
	if len(l.Recent) != maxRecent || l.Recent[maxRecent-1].Hash != 199 || l.SameAsRecent(7, 12*minute) {
		t.Errorf("%d recent: %v", len(l.Recent), l.Recent)
	}
	l.remember(300, 40*minute)
	if len(l.Recent) != 1 {
		t.Errorf("those of long ago are kept: %v", l.Recent)
	}
}

func TestHashID(t *testing.T) {
	if HashID("") != 0 || HashID("a") == 0 || HashID("a") == HashID("b") {
		t.Error("hashes of message IDs")
	}
}

func TestMoreThanSoManyLaterOnesAreRejected(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i := range maxLater {
			s.store(wish("1001", "f", fmt.Sprintf(`,"id":"c%d"%s`, i, effective(time.Hour))))
		}
		s.crash()
		s.start()
		s.publish(wish("1001", "f", `,"id":"too many"`+effective(time.Hour)))
		s.publish(wish("1001", "f", `,"id":"now"`))
		s.publish(wish("1001", "f", `,"id":"c7"`+effective(2*time.Hour))) // makes room for itself
		told := s.told()[maxLater:]
		if len(told) != 4 || told[0] != "rejected 1001 too many" || len(s.journal.letters) != 1 {
			t.Fatalf("told %q, %d letters", told, len(s.journal.letters))
		}
		for _, rec := range s.journal.records {
			if len(rec.Ledger) > 32<<10 {
				t.Fatalf("a ledger of %d bytes", len(rec.Ledger))
			}
		}
		s.signIn("1001", "g", 1)
		s.crash()
		s.start()
		s.pass(3 * time.Hour)
		s.wantNothingWaiting()
		if n := len(s.gateway.made()); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}
