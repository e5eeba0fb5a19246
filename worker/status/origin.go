package status

import (
	"net/http"
	"net/url"
	"strings"
)

// sameOrigin refuses what a browser sends for a page of another origin, as [http.CrossOriginProtection] does. Browsers say
// where a request comes from in Sec-Fetch-Site over HTTPS and to loopback addresses, and in Origin everywhere. Behind a
// proxy that sends a Host of its own, Origin is compared with X-Forwarded-Host, which no page can set for another origin.
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

// isForwarded reports whether the request comes from a page that a proxy serves for us.
func isForwarded(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "" {
		return false // the browser has said what it is
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",") // the first proxy's, where there are several
	return err == nil && origin.Host != "" && origin.Host == strings.TrimSpace(host)
}
