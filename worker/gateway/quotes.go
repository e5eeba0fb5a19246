package gateway

import (
	"bytes"
	"io"
	"log"
	"sync"
)

// DropQuotes stops net/http from quoting on the standard logger what a server sent unasked: it may contain a GUID, and would fill the
// log. [Client.Open] calls it; so must any other code that connects net/http to the gateway.
var DropQuotes = sync.OnceFunc(func() { log.SetOutput(unquoted{log.Writer()}) })

type unquoted struct{ to io.Writer }

func (u unquoted) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Unsolicited response received")) {
		return len(line), nil
	}
	return u.to.Write(line)
}
