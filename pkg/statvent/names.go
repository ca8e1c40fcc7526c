package statvent

import "sync/atomic"

// names finds values by name without a lock. It only grows. Adding needs one: all
// calls of put must be made under the same lock; find and put may run at once.
//
// It is an open-addressing hash table of pointers to entries that never change.
// So a reader sees an entry whole or not at all, and one that looks into a table
// that has just been replaced misses what is new, no more. Names are compared byte
// by byte and never kept by address: a caller may pass a string whose bytes change
// later.
//
// A map behind an atomic pointer would have to be copied for each new name, and a
// sync.Map takes longer to find one.
type names[T any] struct {
	slots atomic.Pointer[[]slot[T]] // a power of two of them; nil if there are none
	count int                       // entries
}

// A slot is nil until it gets its entry, and then has it for good. The entry of a
// name is in the first slot, from the one that its hash says on, that was free.
type slot[T any] = atomic.Pointer[entry[T]]

// An entry is apart from its value: that is written to all the time, and would take
// the entry out of the caches of all other processors.
type entry[T any] struct {
	hash  uint64
	name  string
	value *T
}

// find returns the value of a name, nil if there is none.
func (n *names[T]) find(name string) *T {
	slots := n.slots.Load()
	if slots == nil {
		return nil
	}
	hash := hash(name)
	for i := hash; ; i++ {
		e := (*slots)[i&uint64(len(*slots)-1)].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.name == name {
			return e.value
		}
	}
}

// put adds the value of a name that isn't there yet, and returns its entry. The
// name's bytes must not change any more.
func (n *names[T]) put(name string, value *T) *entry[T] {
	e := &entry[T]{hash(name), name, value}
	slots := n.slots.Load()
	if slots == nil || 2*(n.count+1) > len(*slots) {
		slots = n.grown(slots)
	}
	place(*slots, e)
	n.count++
	n.slots.Store(slots)
	return e
}

// grown returns twice as many slots, with the entries of the old ones.
func (n *names[T]) grown(old *[]slot[T]) *[]slot[T] {
	const least = 16
	slots := make([]slot[T], max(least, 4*n.count))
	if old != nil {
		for i := range *old {
			if e := (*old)[i].Load(); e != nil {
				place(slots, e)
			}
		}
	}
	return &slots
}

func place[T any](slots []slot[T], e *entry[T]) {
	i := e.hash
	for slots[i&uint64(len(slots)-1)].Load() != nil {
		i++
	}
	slots[i&uint64(len(slots)-1)].Store(e)
}
