// Package deploytest holds what stands in deploy against the programs and against the types of Kubernetes: every variable,
// flag, port, path and file that a manifest names has to be there. It also starts what compose.yaml describes, without
// containers, and uses the HTTP API through a client that is generated from messages/openapi.json.
//
// It is a module of its own, so that the programs do not depend on Kubernetes or on the generator:
//
//	cd deploy/deploytest && go test ./...
package deploytest
