package clock

import (
	"errors"
	"strings"
	"time"
)

// errNoZone is returned by LoadZone.
var errNoZone = errors.New("there is no such time zone")

// LoadZone returns the time zone of a name: one of the IANA database, one of Windows, or one of the IANA database behind the prefix
// of a program that writes calendars, such as /freeassociation.sourceforge.net/Europe/Vienna.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" { // which package time takes for UTC and for this machine's zone
		return nil, errNoZone
	}
	if iana, ok := windows[name]; ok {
		name = iana
	}
	if zone, err := time.LoadLocation(name); err == nil {
		return zone, nil
	}
	parts := strings.Split(name, "/")
	if parts[0] != "" {
		return nil, errNoZone
	}
	for n := 3; n >= 2; n-- {
		if len(parts) > n {
			if zone, err := time.LoadLocation(strings.Join(parts[len(parts)-n:], "/")); err == nil {
				return zone, nil
			}
		}
	}
	return nil, errNoZone
}
