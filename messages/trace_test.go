package messages

import (
	"strings"
	"testing"
)

func TestTraceContextThatIsNone(t *testing.T) {
	good := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for s, want := range map[string]bool{
		good: true, "": false, "x": false, good + "\r\nGuid: x": false, good[:54] + "\n": false, "01" + good[2:]: false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false, strings.ToUpper(good): false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-001": false,
	} {
		if ValidTraceParent(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
	for s, want := range map[string]bool{
		"a=b": true, "": false, "a=\n": false, "é": false, strings.Repeat("a", 512): true, strings.Repeat("a", 513): false,
	} {
		if ValidTraceState(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}
