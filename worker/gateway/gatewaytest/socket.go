package gatewaytest

import "net"

// door hands the server the connections that are to be served; in an outage there are none.
type door struct {
	net.Listener
	port *port
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s := &socket{Conn: conn, port: d.port}
		switch d.port.admit(s) {
		case NoOutage:
			return s, nil
		case Hanging: // kept in the table, and nobody reads from it
		default:
			s.reset()
		}
	}
}

// admit enters a connection in the table. The state is read with the table locked: whoever begins or ends an outage
// goes through the table afterwards, and so cannot miss a connection that was let in under the old state.
func (p *port) admit(s *socket) Outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[s] = struct{}{}
	p.accepted++
	state := p.outage()
	if p.closed {
		state = Refusing
	}
	if state != NoOutage {
		p.dropped++
	}
	return state
}

// socket is one connection.
type socket struct {
	net.Conn
	port *port
}

// Close implements net.Conn.
func (s *socket) Close() error {
	s.port.mu.Lock()
	delete(s.port.open, s)
	s.port.mu.Unlock()
	return s.Conn.Close()
}

// reset closes the connection without the usual farewell, so that the other side sees a fault and not an end.
func (s *socket) reset() {
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only where the connection is closed already
	}
	_ = s.Close() // likewise
}
