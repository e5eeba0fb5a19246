package ledger

import "testing"

func TestPositionReadsBack(t *testing.T) {
	for _, p := range []Position{{}, {1, 2, 3}, {1764400000000000000, 1 << 62, 99_999}} {
		for _, rest := range []string{"", "applied.4", "failed"} {
			id := p.String()
			if rest != "" {
				id += "." + rest
			}
			got, left, err := CutPosition(id)
			if got != p || left != rest || err != nil {
				t.Errorf("%q: %v and %q, %v", id, got, left, err)
			}
		}
	}
}

func TestCutPositionRefuses(t *testing.T) {
	for _, id := range []string{"", "1", "1.2", "1.2.", "x!.2.3", "1.-2.3", "1.2.3!"} {
		if p, _, err := CutPosition(id); err == nil {
			t.Errorf("%q was read as %v", id, p)
		}
	}
}

func TestPositionOrder(t *testing.T) {
	inOrder := []Position{{1, 1, 0}, {1, 1, 1}, {1, 2, 0}, {2, 1, 0}}
	for i, p := range inOrder {
		for k, q := range inOrder {
			if got := p.Compare(q); (got < 0) != (i < k) || (got == 0) != (i == k) {
				t.Errorf("%v and %v: %d", p, q, got)
			}
		}
	}
}
