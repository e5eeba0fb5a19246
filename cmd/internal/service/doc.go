// Package service assembles a worker process from its configuration. The worker itself and the demonstration use it.
//
// service.go starts and stops it, parts.go makes the parts from the configuration, link.go is what the page and probes see
// of a start that waits, actions.go is what people may do on the page, log.go the log, memory.go returns what a wave of
// changes took, and check.go proves that everything that the configuration names can be reached.
package service
