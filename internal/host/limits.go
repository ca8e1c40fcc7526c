package host

import (
	"fmt"
	"strings"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A LimitHit says what a limit has left out.
type LimitHit struct {
	Key     string `json:"key"` // of the configuration
	Max     int    `json:"max"`
	User    string `json:"user"` // whose it is
	LeftOut int    `json:"left_out"`
}

const keyPrefix = "max_"

func (h LimitHit) limit() pipes.Limit { return pipes.Limit(strings.TrimPrefix(h.Key, keyPrefix)) }

// DescribeLimits says which limits were hit.
func DescribeLimits(hits []pipes.LimitHit) []LimitHit {
	users, described := make(userNames), []LimitHit{}
	for _, hit := range hits {
		described = append(described, LimitHit{keyPrefix + string(hit.Limit), hit.Max, users.name(hit.UID), hit.LeftOut})
	}
	return described
}

// Unread tells whether sources were not read, and nobody says so of each.
func (h LimitHit) Unread() bool { return h.limit() == pipes.LimitSources }

// Text says what that means; it is empty where the source says so itself.
func (h LimitHit) Text() string {
	n, most := h.LeftOut, h.Key+" is "+h.limit().Text(h.Max)
	are := func(one, many string) string {
		if n == 1 {
			return one
		}
		return many
	}
	switch h.limit() {
	case pipes.LimitSources:
		if h.Max == pipes.MaxOpenSources() {
			most += ", three quarters of the files that may be open (ulimit -n)"
		}
		return fmt.Sprintf("%s of %s %s not read: %s; %s",
			count(n, "more source"), h.User, are("is", "are"), most, h.share())
	case pipes.LimitHostStats:
		return fmt.Sprintf("%s of %s %s no place, %s counters are added up in %s and all else is left out: %s; %s",
			count(n, "stat"), h.User, are("has", "have"), are("its", "their"), format.Overflow, most, h.share())
	case pipes.LimitRetainedBytes, pipes.LimitRetainedStats:
		return fmt.Sprintf("what is retained of %s is full, and %s %s beside it: %s",
			h.User, count(n, "file"), are("stays", "stay"), most)
	default:
		return ""
	}
}

// share says how many of the places are a user's whom nobody has to share them with.
func (h LimitHit) share() string {
	return fmt.Sprintf("one user has %d of them at the most", pipes.Share(h.Max))
}

// LimitTexts says which limits were hit, a line each.
func (r *Report) LimitTexts() (texts []string) {
	for _, hit := range r.Limits {
		if text := hit.Text(); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}
