package mapping

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"idlepolicy/cmd/internal/plan/clock"
)

// zone takes what is a time zone for one, and anything else for a field that names it.
func (r *reader) zone(n *yaml.Node) {
	r.m.Zone = r.texts("zone", n)
	if len(r.m.Zone) != 1 {
		return
	}
	if l, err := clock.LoadZone(strings.TrimPrefix(r.m.Zone[0], "=")); err == nil {
		r.m.Location, r.m.Zone = l, nil
	} else if strings.Contains(r.m.Zone[0], "/") && !strings.ContainsAny(r.m.Zone[0], ".@") && r.m.Zone[0][0] != '/' {
		r.fault(n.Line, "zone: there is no time zone %.40q; want a name such as Europe/Vienna, or a field that holds one", r.m.Zone[0])
	}
}

// zones reads names of time zones that the files use for their own.
func (r *reader) zones(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "zones: want each name that the file uses with a time zone such as Europe/Vienna")
		return
	}
	r.m.Zones = map[string]*time.Location{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		zone, err := clock.LoadZone(r.text("zones."+name, value))
		if err != nil && value.Value != "" {
			r.fault(value.Line, "zones.%.40s: there is no time zone %.40q; want a name such as Europe/Vienna", name, value.Value)
		}
		r.m.Zones[name] = zone
	}
}

// LoadZone returns the time zone that a file names.
func (m *Map) LoadZone(name string) (*time.Location, error) {
	if zone := m.Zones[name]; zone != nil {
		return zone, nil
	}
	return clock.LoadZone(name)
}

func (r *reader) layouts(name string, n *yaml.Node) []string {
	all := r.texts(name, n)
	for _, layout := range all {
		if slices.Contains(clock.Special, layout) {
			continue
		}
		reference := time.Date(2006, 11, 22, 13, 24, 35, 0, time.UTC)
		if reference.Format(layout) == layout {
			r.fault(n.Line, "%s: %.40q is not a layout; write the instant 2006-01-02 15:04:05 as the file would, or %s",
				name, layout, strings.Join(clock.Special, ", "))
		}
	}
	return all
}
