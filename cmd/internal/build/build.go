// Package build knows which build of the program this is.
package build

import (
	"cmp"
	"runtime/debug"
)

// Version is what the build stamped in, or else what the Go tool knows: the module's version, or the revision that it was
// built from.
func Version(stamped string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return cmp.Or(stamped, known(info), unknown)
}

// unknown is what the Go tool says itself where it knows nothing, as with "go run".
const unknown = "(devel)"

// known returns what the Go tool has written down; empty: nothing.
func known(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != unknown {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if revision == "" {
		return ""
	}
	version := "0.0.0-" + revision[:min(len(revision), 12)]
	if settings["vcs.modified"] == "true" {
		version += "+dirty"
	}
	return version
}
