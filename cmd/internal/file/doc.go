// Package file reads files as other programs write them: it recognises what a file is by its first bytes and returns its
// text as UTF-8. It knows encodings, byte order marks and the separators of CSV, and nothing about what the text means.
package file
