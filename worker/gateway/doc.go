// Package gateway is the only HTTP client of the worker, on net/http. It makes the one call that the CC-Gateway offers for the
// idle policy of an agent:
//
//	POST https://HOST:8043/agentgateway/resource/onlineagent/{agentid}/autoenteridle/{flag}
//
// with the agent's own GUID in the header Guid, no body, and an answer such as
//
//	200 OK   {"result": {}, "message": "success", "retcode": "0"}
//
// client.go makes the call. transport.go sets up net/http and renews connections, dial.go opens them, guard.go keeps an answer
// of HTTP/1.1 with its request, and passage.go follows a call through net/http and bounds how often it is sent. answer.go
// understands what came back, and retcode.go is the one table that says what each return code means. address.go decides
// where a call may go, check.go tries the gateway without a call, and tlshint.go knows the usual causes of trouble with TLS.
// Facts about the gateway are from the vendor's public documentation unless a comment says that they are inferred.
//
// What the package promises:
//
//  1. One call of Set is at most one request that the gateway can see. Nothing is retried in here: attempts are counted in
//     one place, package worker, and each passes the gate. A call whose connection turns out to be closed before
//     anything was written goes out on another one. Over HTTP/2 a request that the server did not look at because it was
//     ending the connection goes out on another one, once; a stream that it refuses is a call that it has no room for.
//  2. An answer belongs to its request. What comes behind an answer, or unasked, is nobody's and ends its connection.
//  3. Nothing is written to a connection without the lease. It is looked at in the connection's Write, because a
//     process may be frozen between deciding to call and calling.
//  4. No connection takes a call beyond ConnectionAge, so that calls follow a name that moves to another address.
//  5. A GUID and cookies go to the configured gateway and to the hosts that operators allow, and nowhere else: redirects
//     are not followed, proxies of the environment are not used. They are in no fault, message or log.
//  6. HTTP statuses are never taken for the gateway's verdict: only its own JSON is, with status 200, or with 401 or 403
//     for trouble with the agent's session.
package gateway
