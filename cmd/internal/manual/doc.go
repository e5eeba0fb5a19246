// Package manual has the tests of what the documents tell people to type. It holds no code of the programs.
//
// Each command in a document stands alone in a fenced block of sh, which can be copied as it stands. A comment before a block, which
// readers of the rendered page do not see, says how it is run here:
//
//	<!-- stays up -->        in a terminal of its own, until the next heading of the second level
//	<!-- needs: SOMETHING --> not at all, because that is not there
package manual
