package terminal

import (
	"fmt"
	"strings"

	"idlepolicy/worker/view"
)

// Coverage returns the coverage in words.
func Coverage(c view.Coverage) string {
	if c.Agents() == 0 {
		return "no agent has a desired policy now"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %s have their policy", c.InForce, Plural(c.Agents(), "agent"))
	for _, s := range view.CoverStates() {
		if n := c.Of(s); n > 0 && s != view.CoverInForce {
			fmt.Fprintf(&text, ", %d %s", n, strings.ReplaceAll(s.String(), "_", " "))
		}
	}
	return text.String()
}
