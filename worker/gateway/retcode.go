package gateway

import "idlepolicy/worker"

// classes is the table of what each documented return code means for a change. A change with any other code is retried, up to
// MaxAttempts.
var classes = map[string]worker.Class{
	"0": worker.Success,

	"000-001": worker.Refused, // wrong method
	"000-002": worker.Refused, // wrong parameter
	"000-006": worker.Refused, // wrong URL
	"100-001": worker.Refused, // wrong parameter

	"000-003": worker.NoAgent, // no permission; authentication may have expired
	"100-006": worker.NoAgent, // not signed in; also the answer to a GUID that was rotated
	"100-008": worker.NoAgent, // signed out

	"000-000": worker.Passing, // unknown error
	"000-004": worker.Passing, // the agent is being switched over to another node
	"000-007": worker.Passing, // another call for this agent is under way
	"100-007": worker.Passing, // fault in the agent operation; one vendor client reads it as an invalid agent ID
	"100-009": worker.Passing, // the agent is in the wrong state, or not permitted to set it
}

// classOf returns the class of a return code.
func classOf(retcode string) worker.Class {
	if class, known := classes[retcode]; known {
		return class
	}
	return worker.Passing
}
