package stream

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

var update = flag.Bool("layout.update", false, "write the streams' settings to deploy/nats/streams")

// Whoever creates the streams by hand has their settings as files. They are what the worker would create, and the worker has nothing
// to say of streams made from them.
func TestStreamsByHand(t *testing.T) {
	s := newSite(t)
	layout := Layout{Names: messages.Names{Prefix: "idlepolicy"}, Replicas: 1, Retention: 720 * time.Hour, Takeover: 3 * time.Second}
	for _, want := range layout.streams() {
		file := filepath.Join("..", "..", "deploy", "nats", "streams", want.Name+".json")
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, '\n')
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		written, err := os.ReadFile(file)
		if err != nil || string(written) != string(text) {
			t.Errorf("%s is not what the worker creates (%v); -layout.update writes it", file, err)
			continue
		}
		var config jetstream.StreamConfig
		if err := json.Unmarshal(written, &config); err != nil {
			t.Fatal(err)
		}
		if _, err := s.js.CreateStream(t.Context(), config); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if missing, differs, err := layout.Inspect(t.Context(), s.js); err != nil || len(missing)+len(differs) > 0 {
		t.Errorf("%d are missing, %q, %v", len(missing), differs, err)
	}
}
