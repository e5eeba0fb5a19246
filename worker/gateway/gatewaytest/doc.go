// Package gatewaytest simulates the CC-Gateway over real TLS sockets, for tests, benchmarks and the demonstration.
//
// A Gateway knows the POST that sets what an agent does after a call, and keeps for each agent the session, the flag and
// everything that was asked of it. It also answers what desktops send: sign-in, poll, heartbeat and sign-out ([Traffic]).
// A [Desktop] sends just these, and [Desktops] are many of them. Without rules it behaves well. Rules, a capacity, outages
// and Traffic make it misbehave; all of them can be changed while it runs, from any goroutine.
//
// # What is known of the real gateway
//
//   - Only POST to /agentgateway/resource/onlineagent/{agentid}/autoenteridle/{flag} exists. Success is status 200 with
//     {"result": {}, "message": "success", "retcode": "0"}; a business failure is status 200 with another retcode. The
//     retcode can come as a number, the result can be missing, {} or "".
//   - Agent IDs go from 101 to 999999. A flag has 1 to 5 characters; exactly "true" means idle.
//   - Each call needs the agent's own GUID, and behind some load balancers the cookies of its sign-in.
//   - A sign-in resets the flag to "true". With dynamic authentication the GUID changes every minute, and the old one
//     dies some time later.
//   - A sign-in brings the GUID in Set-GUID, a rotation does so on the answer to a poll or a heartbeat, updateGuid in
//     result.guid. A second sign-in is answered 100-002, forcelogin ends the session before it. A poll is held for 10 s.
//
// # What is inferred
//
// Nobody has confirmed the following. What is built against the simulator should stay right where it differs.
//
//   - Which code answers which GUID. Here: 100-006 for an agent that never signed in, for a GUID that was this agent's
//     and is dead, and for a missing cookie; 100-008 for an agent that has signed out; 000-003 for a GUID that was
//     never this agent's.
//   - 000-002 for every unusable agent ID, also one with a leading zero, and every unusable flag, also an empty one.
//   - 000-007 for every call that arrives while another one of the same agent is under way.
//   - 404 and 405 are pages of a servlet container. A rule with the retcode 000-001 makes it the gateway's own answer.
//   - A call whose client goes away before it took effect does not take effect, unless a rule says so.
//   - A desktop that still shows the GUID before the last rotation gets the new one again.
package gatewaytest
