package stream

import (
	"slices"
	"testing"
	"time"

	"idlepolicy/messages"
)

// What one writer of sessions says about a record, another one reads.
func TestRegistryAcceptsItsWriters(t *testing.T) {
	s := newSite(t)
	s.startOwner("a") // which makes the bucket
	r, err := OpenRegistry(t.Context(), Options{URLs: []string{s.server.ClientURL()}, Name: "tap"}, s.layout.Names)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := time.Now().UTC().Round(0)
	wrote := SessionRecord{Session: messages.Session{GUID: "g1", SignedInAt: at.Add(-time.Hour)}, Since: at, Assumed: true, Retired: []string{"a", "b"}}
	if wrote.Rev, err = r.Put(t.Context(), "1001", wrote); err != nil {
		t.Fatal(err)
	}
	got, err := r.Get(t.Context(), "1001")
	if err != nil || !got.Session.SameAs(wrote.Session) || !got.Since.Equal(at) || !got.Assumed || !slices.Equal(got.Retired, wrote.Retired) {
		t.Errorf("read %+v (%v), want %+v", got, err, wrote)
	}
}
