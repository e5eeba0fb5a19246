// Package httpauth decides who may write over HTTP. [Tokens] checks bearer tokens that a file lists; [Certificate] serves
// HTTPS with a certificate that is renewed on disk. It imports only the standard library, so that other programs can use it.
package httpauth
