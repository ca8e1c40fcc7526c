package statvent

import (
	"hash/maphash"
	"sync/atomic"
)

// names finds values by name without a lock. It only grows. Adding needs one: all
// calls of put must be made under the same lock; find and put may run at once.
//
// It is an open-addressing hash table of pointers to entries that never change.
// So a reader sees an entry whole or not at all, and one that looks into a table
// that has just been replaced misses what is new, no more. Names are compared byte
// by byte and never kept by address: a caller may pass a string whose bytes change
// later.
//
// A map behind an atomic pointer would have to be copied for each new name; a
// sync.Map takes three times as long to find one.
type names[T any] struct {
	slots atomic.Pointer[[]slot[T]] // a power of two of them; nil if there are none
	count int                       // entries
}

// A slot is nil until it gets its entry, and then has it for good. The entry of a
// name is in the first slot, from the one that its hash says on, that was free.
type slot[T any] = atomic.Pointer[entry[T]]

type entry[T any] struct {
	hash  uint64
	name  string
	value *T
}

// seed makes it hard to find names that share their slots.
var seed = maphash.MakeSeed()

// find returns the value of a name, nil if there is none.
func (n *names[T]) find(name string) *T {
	slots := n.slots.Load()
	if slots == nil {
		return nil
	}
	hash := maphash.String(seed, name)
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

// put adds the value of a name that isn't there yet. The name's bytes must not
// change any more.
func (n *names[T]) put(name string, value *T) {
	n.add(&entry[T]{name: name, value: value})
}

// create adds a zero value for a name that isn't there yet, in one piece with its
// entry: finding it touches one cache line less.
func (n *names[T]) create(name string) *entry[T] {
	var both struct {
		entry entry[T]
		value T
	}
	both.entry = entry[T]{name: name, value: &both.value}
	n.add(&both.entry)
	return &both.entry
}

func (n *names[T]) add(e *entry[T]) {
	e.hash = maphash.String(seed, e.name)
	slots := n.slots.Load()
	if slots == nil || 2*(n.count+1) > len(*slots) {
		slots = n.grown(slots)
	}
	place(*slots, e)
	n.count++
	n.slots.Store(slots)
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
