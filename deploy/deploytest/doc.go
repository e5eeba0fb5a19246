// Package deploytest holds what stands in deploy against the programs and against the types of Kubernetes: every variable,
// flag, port, path and file that a manifest names has to be there. It also starts what compose.yaml describes, without
// containers.
//
// It is a module of its own, so that the programs do not depend on Kubernetes:
//
//	cd deploy/deploytest && go test ./...
package deploytest
