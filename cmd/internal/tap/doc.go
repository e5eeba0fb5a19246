// Package tap keeps the session registry from the desktops' own traffic. It stands between the desktops and the gateway as
// a reverse proxy, passes everything on unchanged, and writes what it learns behind the request.
//
//	desktops ──> Proxy ──> gateway
//	               │ what a request and its answer mean (request.go, answer.go)
//	               v
//	           Registry ──> Store: the bucket of the sessions, in NATS
//
// proxy.go passes requests on, peek.go looks at small answers while they pass, transport.go reaches the gateway and
// files.go rereads certificates. registry.go and agent.go are what the tap knows of each agent, in memory alone: it knows neither HTTP
// nor NATS. reconcile.go compares that with a record that another tap may have written, writer.go stores it, and
// silence.go ends the sessions of desktops that are gone. service.go puts one process together from its configuration,
// with metrics.go, health.go and api.go for those who look after it, and check.go for -check.
//
// Promises:
//
//  1. A request and its answer pass as if the tap were not there, whatever NATS does. The registry is written by
//     goroutines that no request waits for.
//  2. A GUID belongs to the agent whose sign-in, poll or heartbeat brought it. A request that shows another agent's GUID
//     changes nothing for the agent in its path. Its success still proves that the session of the GUID's owner is good.
//  3. Several taps keep one truth: every write expects the record's last revision, and an older sign-in or an older GUID
//     never replaces a newer one.
//  4. What the tap keeps is bounded by the number of agents that the gateway has let in.
//  5. No GUID, cookie, query or body is logged, counted or shown.
package tap
