package stream

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// BenchmarkPath measures the way from the stream of changes to the acknowledgement with a gateway that costs nothing.
func BenchmarkPath(b *testing.B) {
	s := newSite(b)
	if _, err := s.layout.Ensure(b.Context(), s.js); err != nil {
		b.Fatal(err)
	}
	for i := range 20000 {
		if _, err := s.js.PublishAsync("$KV.idlepolicy_sessions."+strconv.Itoa(1001+i), []byte("guid")); err != nil {
			b.Fatal(err)
		}
	}
	for i := range b.N {
		if _, err := s.js.PublishAsync("idlepolicy.changes", fmt.Appendf(nil, `{"agent_id":"%d","flag":"f%d"}`, 1001+i%20000, i%10)); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 0 {
			<-s.js.PublishAsyncComplete()
		}
	}
	<-s.js.PublishAsyncComplete()
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	s.start("a")
	s.waitFinished()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "changes/s")
}
