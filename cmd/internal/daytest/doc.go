// Package daytest holds the tests of a contact centre's day: the whole worker, a real NATS server, and the simulated
// gateway over TLS. The schedule comes the evening before, agents sign in when they arrive, sign in again, and some never
// come; workers are stopped and killed in between.
//
// The numbers are small, so that all of it takes seconds. With the flag -full they are those of a large site, and what is
// timed is held against what the product promises:
//
//	go test ./cmd/internal/daytest -full -v -parallel 1 -timeout 20m
//
// With -show the logs of the workers go to standard error. A machine that is slow makes nothing fail but, with -full, what
// is promised about time: where the next slot of a plan comes before a change had its turn, the change is superseded,
// and what is wanted is that the worker was calling until then.
//
// # They can fail
//
// Each of these was broken once, in a copy, and this is what went red:
//
//	a new GUID counts as a sign-in                 TestRotationAppliesNothingAnew, TestRotationDuringAShiftChange
//	nothing wakes a waiting change as it expires   TestChangesWaitForSignIns, TestBatchIDsAreUsedAgain
//	a change takes effect 50 ms early              TestLaterIsOnTime, TestDayPlan
//	the order of changes that are due is by age    TestEarliestDeadlineFirst
//	one slot is not called for in time             TestDayPlan
//	the same id replaces nothing                   TestDayPlan
//	a cancel does nothing                          TestDayPlan
//	a batch may be summed up twice                 TestBatchOverSeveralMessages, TestBatchIDsAreUsedAgain,
//	                                               TestDeadLettersAreReplayed
//	a replay over a newer change is not refused    TestDeadLettersAreReplayed
//	a refused session is used again                TestChangesWaitForSignIns, TestCookiesAreSent
//	the next worker forgets which were refused     TestChangesWaitForSignIns
//	the next worker forgets what was reported      TestChangesWaitForSignIns
//	nothing is applied anew                        TestThreeSignInsInAShift, TestKeyThatComesBackIsASignIn
//	applied anew after valid_until                 TestThreeSignInsInAShift
//
// The last one has two guards, and so have summaries: what looks for an earlier one, and the order of a batch's own
// steps. Only without both did anything go wrong.
package daytest
