package messages

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkDecodeSingle(b *testing.B) {
	data := []byte(`{"agent_id": "1001", "flag": "false", "id": "c-17", "valid_until": "2026-11-22T18:00:00+01:00"}`)
	b.ReportAllocs()
	for b.Loop() {
		Decode(data, "42")
	}
}

// shift is a batch of a megabyte.
func shift() []byte {
	items := make([]string, 10_000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"agent_id": "%d", "flag": "true", "effective_at": "2026-11-22T18:00:00+01:00", "reason": "late shift"}`, 1000+i)
	}
	return []byte(`{"batch_id": "late-shift-7", "id": "x", "changes": [` + strings.Join(items, ",\n") + `]}`)
}

func BenchmarkDecode10000(b *testing.B) {
	data := shift()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if m := Decode(data, "42"); len(m.Changes) != 10_000 {
			b.Fatal(m.Rejected[0])
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r, buf := sampleResults()[0], make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}
