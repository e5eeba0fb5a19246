package ledger

import (
	"reflect"
	"testing"
	"unsafe"

	"idlepolicy/messages"
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
	incarnation := l.Done.Incarnation
	want := Ledger{
		Done: Position{incarnation, 100, 4}, Newest: Effect{At: incarnation, Pos: Position{incarnation, 100, 4}, ID: "c 1/ä", Later: true},
		SignIn: SignIn{10, 11, 12}, Recent: []Recent{{221255, 1}, {1295, 2}},
		Open: []Open{{Position{incarnation, 1, 0}, 3, 0}, {Position{incarnation, 2, 1}, 0, 7}},
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

const lived = "v=1 d=b.5.0 o=3.0.1.0 t=zz p=9.4.2.a1.1.0.1.2.7.0,a.2s.0.b2"

func TestHistoryText(t *testing.T) {
	var l Ledger
	if err := l.UnmarshalText([]byte(lived)); err != nil {
		t.Fatal(err)
	}
	want := Ledger{
		Done: Position{11, 5, 0}, Open: []Open{{Position{11, 3, 0}, ToldInstant, 0}}, Stored: 35*36 + 35,
		History: []Earlier{
			{Position{9, 4, 2}, 361, []Open{{Position{9, 1, 0}, ToldInstant, 0}, {Position{9, 2, 7}, 0, 0}}},
			{Position{10, 100, 0}, 398, nil},
		},
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
	if text, _ := l.AppendText(nil); string(text) != lived {
		t.Errorf("got  %q\nwant %q", text, lived)
	}
	for _, text := range []string{"v=1 t=", "v=1 p=", "v=1 p=1.2.3", "v=1 p=1.2.3.4.5", "v=1 p=1.2.3.4,"} {
		if err := l.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, l)
		}
	}
}

func TestNewestEndingText(t *testing.T) {
	for _, outcome := range []messages.Outcome{"", messages.Applied, messages.Superseded, messages.Expired, messages.Failed} {
		before := Ledger{Done: Position{1, 2, 0}, Newest: Effect{At: 1, Pos: Position{1, 2, 0}, ID: "c", Batch: "b-1 ", Ended: outcome}}
		text, _ := before.AppendText(nil)
		var after Ledger
		if err := after.UnmarshalText(text); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("%q: %+v, %v", text, after, err)
		}
	}
	if err := new(Ledger).UnmarshalText([]byte("v=1 e=q")); err == nil {
		t.Error("an unknown ending was read")
	}
}

// A new owner reads the ledgers of all agents before its first call, and keeps them: what is read allocates its lists and IDs only,
// and does not keep alive the text that it was read from.
func TestLedgerIsReadWithFewAllocations(t *testing.T) {
	for _, test := range []struct {
		text string
		most float64
	}{
		{"v=1 d=76xfr58qsqo0.2s.4 s=a.b.c t=zz", 0},
		{"v=1 d=76xfr58qsqo0.2s.4 o=2s.4.1.0 t=zz", 1},
		{"v=1 d=76xfr58qsqo0.2s.4 n=76xfr58qsqo0.2s.4.76xfr58qsqo0.l.late b=shift e=a r=4qpz.1", 3},
	} {
		var l Ledger
		if n := testing.AllocsPerRun(100, func() { _ = l.Read(test.text) }); n > test.most {
			t.Errorf("%q: %v allocations, want %v", test.text, n, test.most)
		}
		for _, kept := range []string{l.Newest.ID, l.Newest.Batch} {
			if kept != "" && within(kept, test.text) {
				t.Errorf("%q: %q is part of it in memory", test.text, kept)
			}
		}
	}
}

// within reports whether a string shares the memory of another one.
func within(s, all string) bool {
	at, begin := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(all)))
	return at >= begin && at < begin+uintptr(len(all))
}
