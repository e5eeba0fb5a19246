// Package faulttest runs the real programs as processes and kills, freezes and restarts them while changes flow, and
// counts afterwards what became of every change, from outside: from what the stream accepted, the results and the
// gateway's record.
//
// The short form is part of all tests. The long form prints its seed, the faults and the counts:
//
//	go test ./cmd/internal/faulttest -v -run TestFaults -faults.for=10m -faults.replicas=1 -timeout 20m
//	go test ./cmd/internal/faulttest -v -run TestFaults -faults.for=10m -faults.replicas=3 -timeout 20m
//
// With -faults.seed it does the same things again; how processes and servers meet them is up to the machine.
// -faults.logs keeps the logs of the workers in a folder and says when each fault began and was over.
//
// TestPosts publishes over HTTP from 50 connections while a worker is killed, and repeats each request that failed:
//
//	go test ./cmd/internal/faulttest -v -run TestPosts -faults.posts=10000
//
// TestRollingUpdate has no faults but replaces one worker after another, and measures how long nobody calls.
//
// # What is counted
//
// Missing endings, second endings, wrong final flags and older flags that took effect after newer ones; also endings out
// of order, calls for a change that had ended, calls for a change while an older one of its agent had no ending yet, and
// seconds with more calls than rate and burst allow. All of them have to be 0.
//
// Counted apart is what nobody can prevent: a gateway that holds a call for longer than the time-out and lets it take
// effect afterwards; and a call that a new owner repeats because a frozen one woke up and stored the ending of what the
// gateway had answered before. The flag is the same, and the second result is refused.
//
// # It can fail
//
// Each rule of the design was turned off once, for a build of the worker that is used for nothing else, and this is
// what was found within 100 seconds:
//
//	go test ./cmd/internal/faulttest -v -run TestFaults -faults.for=100s -faults.seed=7 -faults.off=RULE
//
//	lease    the lease is not looked at before a call: owners that wake up frozen for longer than a takeover keep
//	         calling. 12 older flags after newer ones, 5 wrong final flags, 16 calls after the ending.
//	hold     no wait after a takeover: calls of the dead owner land behind those of the new one. 11 older flags after
//	         newer ones, 2 wrong final flags.
//	compare  results are stored without compare-and-set: deposed owners store theirs too. 141 second endings.
//	ledger   the new owner does not read what has ended: it calls for changes of unfinished messages once more. 19 calls
//	         after the ending, 5 older flags after newer ones, 1 wrong final flag. Compare-and-set alone keeps second
//	         endings out.
//	order    a newer change is sent before the older one's ending is stored: 30 calls before an older ending. By that
//	         alone nothing goes wrong, because a new owner reads both changes before it calls.
//	doubt    a newer flag does not wait for the time-out of a call that got no answer: 1 older flag after a newer one.
//
// Of the product as it was, it found a clean stop a moment after a takeover, after which the next owner believed that nothing
// could land any more although calls of the one before could (4 older flags after newer ones in 10 minutes), and requests
// whose answers died with a server, which held up all ledgers for a minute; and calls whose connection broke, which took effect after
// a newer change had been called for (13 older flags after newer ones in 10 minutes).
package faulttest
