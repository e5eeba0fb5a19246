// Package access knows what lets a program into NATS: the URLs of the servers and the credentials file. It checks both before
// a connection is tried, because what the NATS client does with a damaged one can give a secret away, and it has the one rule by
// which a URL is shown.
package access
