package statvent

import (
	"math/bits"
	"math/rand/v2"
)

// hash returns a hash of a name. It folds 16 bytes at a time into 8, by the
// multiplication of 64 bits to 128 that wyhash and its descendants use. That of
// package maphash, which is called through four functions, makes finding a stat
// take a tenth to a fifth longer.
//
// The secrets are new in each process: who chooses names can't choose those that
// share their slots.
func hash(name string) uint64 {
	h := secrets[0] ^ uint64(len(name))
	var a, b uint64
	switch n := len(name); {
	case n >= 16:
		for i := 0; i < n-16; i += 16 {
			h = fold(h^load64(name[i:]), secrets[1]^load64(name[i+8:]))
		}
		a, b = load64(name[n-16:]), load64(name[n-8:]) // may overlap what came before
	case n >= 8:
		a, b = load64(name), load64(name[n-8:])
	case n >= 4:
		a, b = load32(name), load32(name[n-4:])
	case n > 0:
		a = uint64(name[0])<<16 | uint64(name[n/2])<<8 | uint64(name[n-1])
	}
	return fold(secrets[2], fold(h^a, secrets[1]^b))
}

var secrets = [3]uint64{rand.Uint64() | 1, rand.Uint64() | 1, rand.Uint64() | 1}

func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// load64 returns the first 8 bytes, by one load where the machine can.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load32(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
