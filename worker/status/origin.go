package status

import (
	"net/http"
	"net/url"
	"strings"
)

// sameOrigin refuses requests that a browser sends for a page of another origin, as [http.CrossOriginProtection] does. Browsers send
// Sec-Fetch-Site over HTTPS and to loopback addresses, and Origin everywhere. Behind a proxy that changes Host, Origin is compared
// with X-Forwarded-Host, which no page can set for another origin.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := protection.Check(r); err != nil && !isForwarded(r) {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isForwarded reports whether the request comes from our page behind a proxy.
func isForwarded(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return false // the browser has said what it is
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",") // the first proxy's, if there are several
	return err == nil && origin.Host != "" && origin.Host == strings.TrimSpace(host)
}
