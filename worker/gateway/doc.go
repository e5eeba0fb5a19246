// Package gateway is the only HTTP client of the product. It makes the one call that the CC-Gateway offers for the idle
// policy of an agent:
//
//	POST https://HOST:8043/agentgateway/resource/onlineagent/{agentid}/autoenteridle/{flag}
//
// with the agent's own GUID in the header Guid, no body, and an answer such as
//
//	200 OK   {"result": {}, "message": "success", "retcode": "0"}
//
// client.go makes the call, line.go writes it and reads what came back on one connection, lines.go keeps connections for
// the next calls, passage.go bounds how often HTTP/2 sends one, answer.go understands what came back, retcode.go is the
// one table that says what each return code means, dial.go opens connections, and address.go decides where a call may go.
// Facts about the gateway are from the vendor's public documentation unless a comment says that they are inferred.
//
// What the package promises:
//
//  1. One call of Set is at most one request that the gateway can see. Nothing is retried in here: attempts are counted in
//     one place, package worker, and each passes the gate. The one exception is that of HTTP/2: a request that the
//     server did not look at because it was ending the connection goes out on another one, once. A stream that it
//     refuses is a call that it has no room for.
//  2. Nothing is written to a connection without the lease. It is looked at in the connection's Write, because a
//     process may be frozen between deciding to call and calling.
//  3. A GUID and cookies go to the configured gateway and to the hosts that operators allow, and nowhere else: redirects
//     are not followed, proxies of the environment are not used. They are in no fault, message or log.
//  4. HTTP statuses are never taken for the gateway's verdict: only its own JSON with status 200 is.
package gateway
