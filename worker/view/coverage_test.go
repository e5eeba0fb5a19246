package view

import "testing"

func TestCoverageAddsUp(t *testing.T) {
	var c Coverage
	for i, s := range CoverStates() {
		c.Add(s, i+1)
		var back CoverState
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s || c.Of(s) != i+1 {
			t.Errorf("%v: read back as %v, %d agents", s, back, c.Of(s))
		}
	}
	c.Add(NotCounted, 5)
	if c.Agents() != 1+2+3+4+5+6 || c.Of(NotCounted) != 0 {
		t.Errorf("%+v", c)
	}
	c.Add(CoverFailed, -5)
	if c.Failed != 0 {
		t.Errorf("%+v", c)
	}
}
