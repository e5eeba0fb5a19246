package gatewaytest

// Fault is what can go wrong with an answer.
type Fault int

// The faults. Of the first four the call does not take effect unless the rule's Lands says so; the gateway never saw
// it. With the others the gateway did its work, and the answer is damaged on its way.
const (
	NoFault   Fault = iota
	Cut             // the connection is reset instead of an answer
	Hang            // no answer ever comes
	HTML            // a proxy's page with status 200
	Empty           // no body
	CutJSON         // the body ends in the middle of the JSON text
	Huge            // the body is valid JSON of 16 MiB
	WrongType       // the gateway's answer, called text/plain
	Endless         // a JSON text that continues until the client has enough
)

// What a Call's Fault says besides the names of faults and outages.
const (
	FaultStatus   = "status"      // a page of a status that a rule asked for
	FaultCapacity = "capacity"    // too many calls
	FaultGone     = "client gone" // the client went away before the call took effect
)

// String returns the fault's name as it stands in a Call's Fault.
func (f Fault) String() string {
	return [...]string{"", "cut", "hang", "html", "empty", "cut json", "huge", "wrong type", "endless"}[f]
}

// swallows reports whether the gateway never saw the call.
func (r *Rule) swallows() bool {
	return r.Status != 0 || r.Fault >= Cut && r.Fault <= Empty
}

// fault is what the record says of a call that the rule acted on.
func (r *Rule) fault() string {
	if r.Fault == NoFault && r.Status != 0 {
		return FaultStatus
	}
	return r.Fault.String()
}
