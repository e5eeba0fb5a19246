package gatewaytest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"idlepolicy/worker/gateway/gatewaytest"
)

// BenchmarkCall includes the client, which costs more than the gateway.
func BenchmarkCall(b *testing.B) {
	g, err := gatewaytest.Start(gatewaytest.Options{ForgetCalls: true})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	var agents atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		agent := strconv.FormatInt(1000+agents.Add(1), 10)
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, g.URL()+path(agent, "false"), http.NoBody)
		if err != nil {
			b.Error(err)
			return
		}
		r.Header.Set("Guid", g.SignIn(agent))
		for pb.Next() {
			resp, err := transport.RoundTrip(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	if s := g.Summary(); s.Applied != s.Calls || s.Calls != b.N {
		b.Errorf("got %+v", s)
	}
}
