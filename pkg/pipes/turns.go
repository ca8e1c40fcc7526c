package pipes

// Turns bound how many threads the pipes of one user can take. A writer that waits
// inside of write, for memory that doesn't come, holds its pipe: whoever opens, reads or
// closes that stays in the kernel, and a process ends that has too many threads. So
// there are a few turns for each user, and a reading has one while it is at its pipe or
// reads a file, not while it waits for its writer.
type turns map[int]turn

// maxTurns is how many readings of one user's sources are in the kernel at once. They
// are there for microseconds.
const maxTurns = 32

func (t turns) of(uid int) turn {
	if t[uid] == nil {
		t[uid] = make(turn, maxTurns)
	}
	return t[uid]
}

// A turn is one user's turns; nil where nobody counts them.
type turn chan struct{}

// take waits for a turn, and says false if there is none before stop is closed.
func (t turn) take(stop <-chan struct{}) bool {
	if t == nil {
		return true
	}
	select {
	case t <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

func (t turn) giveBack() {
	if t != nil {
		<-t
	}
}
