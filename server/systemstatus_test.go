package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A part that hangs, and does not even hear that its time is over, is left behind after two seconds;
// one that fails says nothing of addresses. When part waited for what it asks, the first hung.
func TestPartThatHangsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, hang := time.Now(), make(chan struct{})
		_, err := part(t.Context(), func(context.Context) (int, error) {
			<-hang
			return 1, nil
		})
		if got := problemOf(err); got != noAnswer || time.Since(began) != partTimeout {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		close(hang)
		n, err := part(t.Context(), func(context.Context) (int, error) {
			return 7, errors.New("dial tcp 10.0.0.1:9000: refused")
		})
		if got := problemOf(err); n != 7 || got != "it could not be asked" {
			t.Errorf("%d, %q", n, got)
		}
	})
}
