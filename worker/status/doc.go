// Package status is the only HTTP server of the product: health, readiness, metrics, what the worker is doing as JSON,
// and a page for people. All of it is read-only, unless there are Actions.
//
//	/healthz            is this process alive: 200, or 503 when its event loop does not answer
//	/readyz             does it take part: 200 as owner or standby that has NATS and the sessions, otherwise 503 and why
//	/metrics            for Prometheus; deploy/README.md lists them
//	/api/status         the worker, its batches and its last results as JSON
//	/api/agents/{id}    one agent as JSON
//	/                   the page; /agents/{id} is one agent in words
//	/events             what changes on the page, as server-sent events
//	/actions/{verb}     pause, resume and replay, for those who have the token
//
// A page, a probe and a scrape that come at the same time cost one question to the event loop, and an open page costs one question a
// second, however many people look at it.
package status
