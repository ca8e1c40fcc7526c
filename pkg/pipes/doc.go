// Package pipes is the pipe directory: how a snapshot of stats gets from the
// program that has it to whoever wants to see it, through a named pipe (FIFO)
// that costs nothing until somebody reads, and how what a program has counted
// stays when it has ended.
//
// A Publisher answers each reader of its two pipes with one whole snapshot: the
// plain one for everybody, the typed one, with kinds and samples, for those who
// combine several. A Collector reads the pipes of all and waits for none of them
// longer than its deadline.
//
// In the directory stand:
//
//	<stem>.stats           a FIFO, by every publisher; the stem is its pid or a name
//	.<stem>.<id>.typed     a FIFO, by a Publisher; the id is 64 random bits in hex.
//	                       After Close a regular file, its final
//	.<stem>.<id>.live      a regular file on which a Publisher holds a flock for as
//	                       long as it lives
//	.retained-<uid>.typed  a regular file: what processes of that user have counted
//	                       that have ended, and what its scripts have emitted
//	.retained-<uid>.lock   whoever rewrites that holds a flock on it
//	.tmp-<uid>-<id>        any of them in the microseconds before it has its name
//
// What a Publisher counted goes from its typed pipe to its final to the retained
// file by renames, so that a reader finds it in one of these places at every
// moment: retained.go has the writers' part of that, settle.go the readers', and
// the test of the protocol is a model of both.
//
// Linux is the first home of this package. On macOS and the BSDs, which have no
// O_PATH, a publisher whose pipe was deleted can't be woken and a plain cat
// that loses a race may wait for the next reader. Elsewhere there are no FIFOs,
// and every function says ErrUnsupported.
package pipes
