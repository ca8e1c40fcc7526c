package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

func TestHealthIsThatOfTheCollectionUnderWay(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		close(began)
		<-end
		return collection(format.Stat{Name: "a", Value: format.Int(1)}), nil
	})
	s.SetDeadline(time.Second)
	is := func(after time.Duration, want string) {
		t.Helper()
		err := s.health(time.Now().Add(after))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("after %v: got %v, want %q", after, err, want)
		}
	}
	is(time.Hour, "") // nobody asks
	done := make(chan int)
	go func() {
		status, _ := request(s, http.MethodGet, "/stats")
		done <- status
	}()
	<-began
	is(0, "")
	is(overtime, "")
	is(time.Hour, "under way for 1h0m")
	s.SetDeadline(2 * time.Hour)
	is(time.Hour, "")
	close(end)
	if status := <-done; status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	is(time.Hour, "")
}

// deadlines is a response that notes until when it may be written.
type deadlines struct {
	*httptest.ResponseRecorder
	set time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = t
	return nil
}

func TestLongerDeadlineLeavesTimeForTheAnswer(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return collection(), nil })
	ask := func() time.Duration {
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s.Handler().ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/stats", http.NoBody))
		if d.set.IsZero() {
			return 0
		}
		return time.Until(d.set)
	}
	if got := ask(); got != 0 {
		t.Errorf("without a change: %v", got)
	}
	s.SetDeadline(time.Hour)
	if got := ask(); got < time.Hour || got > time.Hour+writeTimeout {
		t.Errorf("with a deadline of an hour: %v", got)
	}
}
