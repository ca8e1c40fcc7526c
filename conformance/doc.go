// Package conformance holds what statvent exposes against the field's own
// parsers. It is a module of its own, so that none of them gets into the build
// of anybody who uses statvent.
package conformance
