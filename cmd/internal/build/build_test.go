package build

import (
	"runtime/debug"
	"testing"
)

func TestKnown(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	clean := debug.BuildSetting{Key: "vcs.modified", Value: "false"}
	for _, test := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", nil, "v1.2.3"},
		{"v1.2.3", []debug.BuildSetting{revision, dirty}, "v1.2.3"},
		{unknown, []debug.BuildSetting{revision, clean}, "0.0.0-0123456789ab"},
		{"", []debug.BuildSetting{revision, dirty}, "0.0.0-0123456789ab+dirty"},
		{unknown, nil, ""},
	} {
		if got := known(&debug.BuildInfo{Main: debug.Module{Version: test.version}, Settings: test.settings}); got != test.want {
			t.Errorf("%s, %v: %q, want %q", test.version, test.settings, got, test.want)
		}
	}
}

func TestVersionStampedIn(t *testing.T) {
	if got := Version("1.2.3"); got != "1.2.3" {
		t.Errorf("got %q", got)
	}
	if Version("") == "" {
		t.Error("nothing is said where nothing is known")
	}
}
