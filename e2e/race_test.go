//go:build race

package e2e

// raceDetector tells whether the race detector is in the tests, and so is to be in what
// they run.
const raceDetector = true
