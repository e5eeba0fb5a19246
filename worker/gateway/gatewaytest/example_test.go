package gatewaytest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	"idlepolicy/worker/gateway/gatewaytest"
)

func Example() {
	g, err := gatewaytest.Start(gatewaytest.Options{})
	if err != nil {
		panic(err)
	}
	defer g.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.CA())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}

	guid := g.SignIn("1001")
	g.On("1001", gatewaytest.Rule{Times: 1, Retcode: "100-009"}) // a fault that passes
	for range 2 {
		url := g.URL() + "/agentgateway/resource/onlineagent/1001/autoenteridle/false"
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, http.NoBody)
		if err != nil {
			panic(err)
		}
		r.Header.Set("Guid", guid)
		resp, err := client.Do(r)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, string(body))
	}
	flag, _ := g.Flag("1001")
	fmt.Println("flag:", flag, "calls:", g.NumCalls())
	// Output:
	// 200 {"result": {}, "message": "The agent is in an incorrect state.", "retcode": "100-009"}
	// 200 {"result": {}, "message": "success", "retcode": "0"}
	// flag: false calls: 2
}
