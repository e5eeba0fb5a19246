// Package sheet reads a file of changes, as people and planning systems write them: CSV with a header line, JSONL with one
// change message per line, or JSON with one. A file is checked as a whole before anything of it is published, and each of
// its problems is named with its line and column.
package sheet
