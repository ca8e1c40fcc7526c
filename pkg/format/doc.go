// Package format holds what statvent's programs say to each other: the model
// of stats (Value, Stat, Samples, Snapshot), their arithmetic (Sum, Combine),
// what is kept of those that have ended (Document, Fold) and done to it (Changes),
// and the formats that a snapshot travels in, one file for each.
//
// The plain format is a line a stat, "NAME: VALUE\n", and nothing else; it is
// what a FIFO named <pid>.stats carries and what any language can write with a
// printf. See AppendPlain and PlainParser.
//
// The typed format carries kinds and samples as well, and shows whether it is
// whole. See AppendTyped and TypedParser.
//
// JSON and the formats of Prometheus are written only: see AppendJSON and
// Exposition.
package format
