package clock

import "testing"

func TestLoadZone(t *testing.T) {
	for name, want := range map[string]string{
		"Europe/Vienna":                         "Europe/Vienna",
		"W. Europe Standard Time":               "Europe/Berlin",
		"India Standard Time":                   "Asia/Kolkata",
		"UTC":                                   "UTC",
		"/example.org/Asia/Tokyo":               "Asia/Tokyo",
		"/a.org/1/America/Indiana/Indianapolis": "America/Indiana/Indianapolis",
		"Customized Time Zone":                  "",
		"x/Asia/Tokyo":                          "",
		"/Tokyo":                                "",
		"Local":                                 "",
		"":                                      "",
	} {
		zone, err := LoadZone(name)
		if got := zone.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q is %q (%v), want %q", name, got, err, want)
		}
	}
	for name, iana := range windows {
		if zone, err := LoadZone(name); err != nil || zone.String() != iana {
			t.Errorf("%s: %v, %v", name, zone, err)
		}
	}
}
