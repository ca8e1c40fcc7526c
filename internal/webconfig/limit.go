package webconfig

import (
	"sync"
	"time"
)

// A limiter lets requests through in bursts, and one an interval: a token
// bucket.
type limiter struct {
	interval time.Duration
	burst    int

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// newLimiter returns nil where there is no interval.
func newLimiter(interval time.Duration, burst int) *limiter {
	if interval <= 0 {
		return nil
	}
	return &limiter{interval: interval, burst: burst, tokens: float64(burst)}
}

func (l *limiter) same(as *limiter) bool {
	return l != nil && as != nil && l.interval == as.interval && l.burst == as.burst
}

// allow reports whether a request may pass, and else how long until one may.
func (l *limiter) allow(now time.Time) (ok bool, wait time.Duration) {
	if l == nil {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() {
		l.tokens = min(float64(l.burst), l.tokens+max(0, now.Sub(l.last).Seconds())/l.interval.Seconds())
	}
	l.last = now
	if l.tokens < 1 {
		return false, time.Duration((1 - l.tokens) * float64(l.interval))
	}
	l.tokens--
	return true, 0
}
