// Package samples holds shift changes to try the product with, as files for people and embedded for the demonstration,
// which so works from anywhere.
package samples

import _ "embed"

// LateShiftFile is the name of LateShift.
const LateShiftFile = "late-shift.csv"

// LateShift is the late shift of a site with 300 agents, of whom some are moved to another team at once.
//
//go:embed late-shift.csv
var LateShift []byte
