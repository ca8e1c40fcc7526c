package pipes

import "sync"

// A relisting lists a directory once for all who ask for a new listing while another
// one is made: ten thousand of them take a few listings, not ten thousand.
type relisting struct {
	turn sync.Mutex // held by who lists
	mu   sync.Mutex // guards next
	next *newListing
}

// A newListing is one that hasn't begun when it is asked for.
type newListing struct {
	once sync.Once // guards what follows
	l    *listing
	err  error
}

// listAnew returns a listing that was begun after it was called. It may be called by
// many at once, and while somebody calls list.
func (d *directory) listAnew() (*listing, error) {
	r := &d.anew
	r.mu.Lock()
	if r.next == nil {
		r.next = new(newListing)
	}
	shared := r.next
	r.mu.Unlock()
	shared.once.Do(func() {
		r.turn.Lock()
		defer r.turn.Unlock()
		r.mu.Lock()
		r.next = nil // it begins
		r.mu.Unlock()
		fd, err := openDirAt(d.fd, ".") // listings of one descriptor disturb each other
		if err != nil {
			shared.err = err
			return
		}
		again := &directory{fd: fd, path: d.path}
		defer again.close()
		shared.l, shared.err = again.list()
	})
	return shared.l, shared.err
}
