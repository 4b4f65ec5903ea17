package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"
)

// keysFlag adds for how many days idempotency keys are known.
func (c *config) keysFlag(f *flag.FlagSet) error {
	var err error
	if c.window, err = days(env("METERHOUSE_IDEMPOTENCY_DAYS", "34")); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_IDEMPOTENCY_DAYS: %v\n", err)
		return errUsage
	}
	f.Func("idempotency-days", "for how many `days` an idempotency key is known, 1 to 400; the same "+
		"on every node (METERHOUSE_IDEMPOTENCY_DAYS; default 34)", func(v string) (err error) {
		c.window, err = days(v)
		return err
	})
	return nil
}

func days(v string) (time.Duration, error) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n < 1 || n > 400 {
		return 0, errors.New("must be a whole number from 1 to 400")
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
