package stream

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// The server that leads a stream may be another than the one that is connected; a real one says its version, and an old one none.
func TestOldServerThatLeadsAStreamIsNamed(t *testing.T) {
	s := newSite(t)
	layout := s.layout
	if _, err := layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	held, err := s.js.Stream(t.Context(), layout.Names.ChangesStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := ledBy(held.CachedInfo()); err != nil {
		t.Errorf("of this server: %v", err)
	}
	for _, test := range []struct{ version, says string }{
		{"", "server old-1 has version older than 2.11; want 2.14"}, {"2.12.3", "server old-1 has version 2.12.3; want 2.14"}, {"2.14.0", ""}, {"3.0.0", ""},
	} {
		info := &jetstream.StreamInfo{Cluster: &jetstream.ClusterInfo{Leader: "old-1"}}
		if test.version != "" {
			info.Config.Metadata = map[string]string{"_nats.ver": test.version}
		}
		err := ledBy(info)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v", test.version, err)
		}
	}
}
