package main

import (
	"context"
	"errors"
	"fmt"
)

func migrate(ctx context.Context, args []string, std streams) (err error) {
	var c config
	f := c.databaseFlags("migrate", std)
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	logger := c.logger(std)
	d, err := openDatabase(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	applied, err := d.migrate(ctx, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%d migrations applied\n", applied)
	return nil
}
