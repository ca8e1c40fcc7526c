// Package pipes is the pipe directory: how a snapshot of stats gets from the
// program that has it to whoever wants to see it, through a named pipe (FIFO)
// that costs nothing until somebody reads.
//
// A Publisher answers each reader of its FIFO <stem>.stats with one whole
// snapshot. A Collector reads all FIFOs of the directory at once and waits for
// none of them longer than its deadline.
//
// In the directory stand:
//
//	<stem>.stats        a FIFO, by every publisher; the stem is its pid or a name
//	.<stem>.<id>.live   a regular file, by a Publisher, which holds a flock on it
//	                    for as long as it lives; the id is 64 random bits in hex
//	.tmp-<uid>-<id>     either of them in the microseconds before it has its name
//
// Linux is the first home of this package. On macOS and the BSDs, which have no
// O_PATH, a publisher whose pipe was deleted can't be woken and a plain cat
// that loses a race may wait for the next reader. Elsewhere there are no FIFOs,
// and every function says ErrUnsupported.
package pipes
