package worker

import "time"

// sightings are the last answers of one kind about two different agents, newest first.
type sightings [2]struct {
	agent string
	at    time.Time
}

func (s *sightings) add(agent string, at time.Time) {
	if s[0].agent != agent {
		s[1] = s[0]
	}
	s[0].agent, s[0].at = agent, at
}

// other tells whether there was one about another agent after the given time.
func (s *sightings) other(agent string, after time.Time) bool {
	for i := range s {
		if s[i].agent != "" && s[i].agent != agent && s[i].at.After(after) {
			return true
		}
	}
	return false
}

// of returns when the last one about the agent was; zero: it is not among them.
func (s *sightings) of(agent string) time.Time {
	for i := range s {
		if s[i].agent == agent {
			return s[i].at
		}
	}
	return time.Time{}
}
