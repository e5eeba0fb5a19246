// Package terminal is what idlectl and the demonstration look like: progress, tables, and the words in between. On a
// terminal it is lively; elsewhere it writes plain lines, so that logs and pipes stay readable.
package terminal
