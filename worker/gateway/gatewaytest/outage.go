package gatewaytest

// Outage is a way in which the whole gateway is not there. Calls that arrived before it began still take effect, but
// their answers are lost.
type Outage int32

// The kinds of outages.
const (
	NoOutage  Outage = iota
	Refusing         // nobody listens on the port; what was connected is reset
	Resetting        // every connection is reset as soon as it is there
	Hanging          // connections are taken, and then there is silence; when it ends they are reset
)

// String returns the outage's name as it stands in a Call's Fault.
func (o Outage) String() string { return [...]string{"", "refusing", "resetting", "hanging"}[o] }

func (p *port) outage() Outage { return Outage(p.state.Load()) }

// set stores the new state before it touches connections, so that a call that slips through meanwhile sees it.
func (p *port) set(o Outage) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	was := Outage(p.state.Swap(int32(o)))
	if was == o || p.isClosed() {
		return nil
	}
	if o == Refusing {
		p.stopListening()
	}
	if o != Hanging {
		p.resetAll()
	}
	if was == Refusing {
		return p.listen(p.addr)
	}
	return nil
}
