// Package benchmarks holds statvent against what its users would otherwise use.
// It is a module of its own, so that none of that reaches a user's build.
package benchmarks
