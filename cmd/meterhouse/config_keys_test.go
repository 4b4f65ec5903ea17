package main

import (
	"flag"
	"io"
	"testing"
	"time"
)

func TestIdempotencyDays(t *testing.T) {
	f := func(variable string, args []string, want int) {
		t.Helper()
		t.Setenv("METERHOUSE_IDEMPOTENCY_DAYS", variable)
		var c config
		set := flag.NewFlagSet("", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		err := c.keysFlag(set)
		if err == nil {
			err = set.Parse(args)
		}
		got := int(c.window / (24 * time.Hour))
		if (err == nil) != (want > 0) || err == nil && got != want {
			t.Errorf("%d days, %v; want %d (0: an error)", got, err, want)
		}
	}
	f("", nil, 34)
	f("7", nil, 7)
	f("7", []string{"--idempotency-days", "400"}, 400)
	for _, wrong := range []string{"0", "401", "-1", "34d", "1.5", "65537", "x"} {
		f(wrong, nil, 0)
		f("", []string{"--idempotency-days", wrong}, 0)
	}
}
