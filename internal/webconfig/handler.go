package webconfig

import (
	"net/http"
	"strconv"
	"time"
)

// Refuse answers a request with an error.
type Refuse func(w http.ResponseWriter, r *http.Request, status int, message string)

// Wrap returns a handler that lets those requests through to next that the
// version in force allows, with its headers on all answers.
func (f *File) Wrap(next http.Handler, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := f.current()
		for name, value := range v.headers {
			if value == "" {
				w.Header().Del(name)
			} else {
				w.Header().Set(name, value)
			}
		}
		if err := v.checkClient(r.TLS); err != nil {
			w.Header().Set("Connection", "close")
			refuse(w, r, http.StatusMisdirectedRequest, "this connection is no longer one that is let in: "+err.Error())
			return
		}
		if ok, wait := v.limit.allow(time.Now()); !ok {
			w.Header().Set("Retry-After", seconds(wait))
			refuse(w, r, http.StatusTooManyRequests, "there are more requests than rate_limit allows")
			return
		}
		if len(v.users.hashes) > 0 {
			user, password, given := r.BasicAuth()
			result := denied
			if given {
				result = v.users.verify(r.Context(), clientOf(r.RemoteAddr), user, password)
			}
			switch result {
			case denied:
				w.Header().Set("WWW-Authenticate", `Basic realm="statvent", charset="UTF-8"`)
				refuse(w, r, http.StatusUnauthorized, "a user and a password are needed")
				return
			case busy:
				w.Header().Set("Retry-After", "1")
				refuse(w, r, http.StatusTooManyRequests, "too many passwords are being checked")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// seconds returns a time as Retry-After has it: whole seconds, at least one.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}
