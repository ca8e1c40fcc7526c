package config

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
)

// OwnerIDs returns the ids of the Owners, sorted; none if all count. A number is an
// id, whether there is such a user or not. The error says where an unknown name came
// from. Not every command needs them, and looking them up takes reading a file.
func (c *Config) OwnerIDs() ([]int, error) {
	var ids []int
	for _, name := range c.Owners {
		id, err := ownerID(name)
		if err != nil {
			return nil, c.Fail(Owner, err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// maxOwner is the largest id of a user: the next, -1 in 32 bits, means none.
const maxOwner = 1<<32 - 2

func ownerID(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if n > maxOwner {
			return 0, fmt.Errorf("%s is not the number of a user", name)
		}
		return int(n), nil
	}
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return 0, fmt.Errorf("there is no user %q; one whom /etc/passwd doesn't have is named by number", name)
	}
	if err != nil {
		return 0, fmt.Errorf("user %q can't be looked up: %w", name, err)
	}
	return strconv.Atoi(u.Uid) // which is a number where there are pipes
}
