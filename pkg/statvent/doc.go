// Package statvent counts what happens in a program and shows it to whoever
// wants to see.
//
// Incr, Set and Record keep stats in the process; StartRecorder publishes them
// at a named pipe, /tmp/stats-pipe/<pid>.stats, which costs nothing until
// somebody reads it:
//
//	$ cat /tmp/stats-pipe/3435.stats
//	app.requests: 42
//	app.users: 7
//
// The command statvent reads the pipes of all processes of a host, brings them
// together and serves that.
//
// Stats are found by their names. Where even that is too slow there are handles
// (NewCounter, NewGauge, NewDistribution): to increment one is an atomic add, to
// record takes a mutex that its recorders alone share.
//
// Recording never fails, never panics and never waits for a reader; a name or
// value that makes no sense costs only itself. The package starts nothing and
// opens nothing before StartRecorder, and handles no signals: see the example
// of StartRecorder for a program that ends cleanly.
package statvent
