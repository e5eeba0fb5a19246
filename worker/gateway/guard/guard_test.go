package guard

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

func pair() (c *Conn, gateway net.Conn) {
	here, gateway := net.Pipe()
	socket := NewSocket(here)
	return socket.Guard(socket), gateway
}

// What comes before a request was written is nobody's answer.
func TestWhatComesUnaskedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gateway := pair()
		defer func() { _ = c.Close(); _ = gateway.Close() }()
		b := make([]byte, 10)
		send := func(text string) { _, _ = gateway.Write([]byte(text)) }
		ask := func() {
			if _, err := c.Write([]byte("?")); err != nil {
				t.Error(err)
			}
		}
		go func() { _, _ = gateway.Read(make([]byte, 1)) }()
		ask()
		go send("answer")
		if n, err := c.Read(b); err != nil || string(b[:n]) != "answer" || !c.Asked() {
			t.Errorf("%q, %v, asked %t", b[:n], err, c.Asked())
		}
		go send("surplus")
		read := make(chan error)
		c.socket.reading = true // net/http reads ahead all the time
		c.Take()
		go func() { _, err := c.Read(b); read <- err }()
		if err := <-read; !errors.Is(err, ErrUnasked) || c.Asked() {
			t.Errorf("%v, asked %t", err, c.Asked())
		}
	})
}

// A request does not get the connection before what came for the last one is consumed.
func TestTakeWaitsForTheReader(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"a read":   func(c *Conn) { _, _ = c.Read(make([]byte, 1)) },
		"its end":  func(c *Conn) { _ = c.Close() },
		"its last": func(c *Conn) { _ = c.Close(); _, _ = c.Read(make([]byte, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, gateway := pair()
				taken := false
				go func() { c.Take(); taken = true }()
				if synctest.Wait(); taken {
					t.Error("taken although nobody reads")
				}
				go end(c)
				if synctest.Wait(); !taken {
					t.Error("not taken")
				}
				_ = c.Close()
				_ = gateway.Close()
			})
		})
	}
}
