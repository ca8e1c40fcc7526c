package statvent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/statvent/statvent/pkg/format"
)

// Names that differ in one byte, wherever that is, have different hashes, for each
// length that is read in another way.
func TestHashSeesEveryByte(t *testing.T) {
	for n := range 100 {
		name := []byte(strings.Repeat("n", n))
		seen := map[uint64]int{hash(string(name)): -1}
		for i := range name {
			name[i] = 'm'
			if j, ok := seen[hash(string(name))]; ok {
				t.Errorf("of %d bytes, changing the one at %d is as changing that at %d", n, i, j)
			}
			seen[hash(string(name))] = i
			name[i] = 'n'
		}
	}
	if hash("") == hash("\x00") || hash("\x00") == hash("\x00\x00") {
		t.Error("the length makes no difference")
	}
}

// The slots of ordinary names, which are alike, are as different as by chance.
func TestHashSpreadsNames(t *testing.T) {
	patterns := []string{"%d", "requests.%d", "http.requests.GET./api/v1/items/%d.status.200", "%032d", "%d.errors.of.a.worker", "%08x"}
	for _, pattern := range patterns {
		const names, slots = 1 << 13, 1 << 14
		for _, shift := range []int{0, 20, 40} {
			used := make(map[uint64]bool)
			for i := range names {
				used[hash(fmt.Sprintf(pattern, i))>>shift%slots] = true
			}
			// By chance it is slots * (1 - exp(-1/2)), give or take 30.
			if want := 6446; len(used) < want-300 || len(used) > want+300 {
				t.Errorf("%s: %d names have %d of %d slots, want about %d", pattern, names, len(used), slots, want)
			}
		}
	}
}

// What is in the table is found while it grows, and only that.
func TestNamesWhileTheyGrow(t *testing.T) {
	var n names[int]
	const many = 20_000
	known := make(chan string, many)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var seen []string
			for name := range known {
				seen = append(seen, name)
				for _, name := range []string{name, seen[rand.IntN(len(seen))]} {
					if v := n.find(name); v == nil || fmt.Sprint("n", *v) != name {
						t.Errorf("%s is not found, or wrong: %v", name, v)
						return
					}
				}
				if v := n.find(name + "x"); v != nil {
					t.Errorf("%sx, which isn't there, is %d", name, *v)
				}
			}
		})
	}
	for i := range many {
		name := fmt.Sprint("n", i)
		if e := n.put(name, &i); e.name != name || e.value != &i {
			t.Errorf("the entry of %s is of %s", name, e.name)
		}
		known <- name
	}
	close(known)
	readers.Wait()
}

// A caller may pass a string whose bytes change: those of the moment are the name.
func TestNameInABufferThatChanges(t *testing.T) {
	r := NewRegistry()
	buf := []byte("requests.0")
	name := unsafe.String(&buf[0], len(buf))
	for i := range 1000 {
		buf[len(buf)-1] = '0' + byte(i%10)
		r.Incr(name)
		r.Record(name, int64(i%10))
	}
	buf[0] = '-'
	for i := range 10 {
		if got := r.NewCounter(fmt.Sprint("requests.", i)).s.value().Int64(); got != 100 {
			t.Errorf("requests.%d is %d, want 100", i, got)
		}
		var s format.Samples
		r.NewDistribution(fmt.Sprint("requests.", i)).copyTo(&s)
		if s.Count != 100 || s.Sum != format.Int(int64(100*i)) {
			t.Errorf("of requests.%d %d values were recorded, with the sum %s", i, s.Count, s.Sum)
		}
	}
}
