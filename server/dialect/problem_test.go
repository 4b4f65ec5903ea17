package dialect

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
)

func TestProblemShowsNothingOfUnknownErrors(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		p := ProblemOf(err)
		if p.Status != want || strings.Contains(fmt.Sprint(p), "secret") {
			t.Errorf("%v: %+v", err, p)
		}
	}
	f(errors.New("secret"), 500)
	f(fmt.Errorf("secret: %w", schema.Errorf(schema.NotFound, "", "no such thing")), 404)
	f(fmt.Errorf("secret: %w", schema.Errorf(schema.Internal, "", "secret")), 500)
	f(fiber.NewError(431, "secret"), 431)
	f(fiber.NewError(200, "secret"), 500)
	f(fiber.NewError(999, "secret"), 500)
	for kind := schema.Internal; kind <= schema.Unavailable; kind++ {
		if StatusOf[kind] == 0 {
			t.Errorf("kind %d has no status", kind)
		}
	}
}

func TestRetryAfterIsWholeSecondsAndAtLeastOne(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := RetryAfter(&schema.Error{Kind: schema.Overloaded, RetryAfter: d}); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	f(0, "1")
	f(-time.Hour, "1")
	f(time.Millisecond, "1")
	f(time.Second, "1")
	f(1001*time.Millisecond, "2")
	f(1<<63-1, "9223372037")
	if got := RetryAfter(errors.New("anything")); got != "" {
		t.Errorf("an error that is not about waiting: %s", got)
	}
}
