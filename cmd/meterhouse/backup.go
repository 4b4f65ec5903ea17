package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// backupLook is how often a backup is looked at.
const backupLook = 100 * time.Millisecond

// backup has ClickHouse back the database up, beside nodes that go on. No node inserts while the
// tables are looked through, a moment; what is written of them afterwards takes as long as it takes.
func backup(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var to, base queries.BackupPlace
	f := c.databaseFlags("backup", std)
	if err := c.exportsFlags(f); err != nil {
		return err
	}
	placeFlag(f, &c, "to", &to, "where the backup `goes`: "+placeForms)
	placeFlag(f, &c, "base", &base, "an earlier backup `place`: only what it does not have is written")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if to == (queries.BackupPlace{}) {
		fmt.Fprintln(std.err, "meterhouse backup: give --to, "+placeForms)
		return errUsage
	}
	logger := c.logger(std)
	d, err := openMigrated(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	began := time.Now()
	id, nodes, err := startBackup(ctx, d.queries, to, base)
	if err != nil {
		return err
	}
	cut := time.Since(began)
	state, err := awaitBackup(ctx, d.queries, id, queries.BackupState.Over)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		fmt.Fprintf(std.out, "node %s: stored to sequence %d\n", n.ID, n.Stored)
	}
	fmt.Fprintf(std.out, "%d files, %d bytes in %s; nodes inserted nothing for %s\n", state.Files,
		state.Bytes, time.Since(began).Round(time.Millisecond), cut.Round(time.Millisecond))
	return nil
}

// startBackup starts a backup whose tables go with each other, and returns its id and what the
// nodes had said by then.
func startBackup(
	ctx context.Context, q *queries.Queries, to, base queries.BackupPlace,
) (id string, nodes []queries.Node, err error) {
	err = verify.New(verify.Config{Queries: q}).Hold(ctx, "backup",
		func(held context.Context) error {
			if id, err = q.StartBackup(held, to, base); err != nil {
				return err
			}
			if _, err := awaitBackup(held, q, id, queries.BackupState.Cut); err != nil {
				return err
			}
			nodes, err = q.Nodes(held)
			return err
		})
	return id, nodes, err
}

// awaitBackup returns how a backup stands once it is so far. One that failed is an error.
func awaitBackup(
	ctx context.Context, q *queries.Queries, id string, far func(queries.BackupState) bool,
) (queries.BackupState, error) {
	for {
		s, err := q.BackupState(ctx, id)
		switch {
		case err != nil:
			return s, err
		case s.Over() && s.State != "BACKUP_CREATED":
			return s, fmt.Errorf("%s: %s", strings.ToLower(s.State), backupProblem(s.Problem))
		case far(s):
			return s, nil
		}
		select {
		case <-time.After(backupLook):
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// backupProblem says what to do about the problems that are ours to mend.
func backupProblem(text string) string {
	text, _, _ = strings.Cut(text, " Stack trace")
	text = strings.TrimSuffix(strings.TrimSpace(text), ",")
	for hint, do := range map[string]string{
		"NOT_ENOUGH_SPACE":      "make room where the backup goes, remove what was written of it",
		"No space left":         "make room where the backup goes, remove what was written of it",
		"BACKUP_ALREADY_EXISTS": "choose another name: a backup is never written over",
		"backups.allowed_path":  "name a folder in the server's backups.allowed_path",
		"backups.allowed_disk":  "name a disk in the server's backups.allowed_disk",
	} {
		if strings.Contains(text, hint) {
			return text + ": " + do
		}
	}
	return text
}

const placeForms = "file:NAME, disk:DISK/PATH or s3:BUCKET/PATH"

// placeFlag adds a place of a backup. A bucket is one of those of exports: its key is in the
// environment.
func placeFlag(f *flag.FlagSet, c *config, name string, into *queries.BackupPlace, usage string) {
	f.Func(name, usage, func(v string) (err error) {
		*into, err = c.backupPlace(v)
		return err
	})
}

func (c *config) backupPlace(v string) (p queries.BackupPlace, err error) {
	kind, rest, _ := strings.Cut(v, ":")
	name, path, _ := strings.Cut(rest, "/")
	switch {
	case kind == "file" && rest != "":
		return queries.BackupPlace{File: rest}, nil
	case kind == "disk" && name != "" && path != "":
		return queries.BackupPlace{Disk: name, Path: path}, nil
	case kind == "s3" && name != "" && path != "":
		b, ok := c.exports.buckets[name]
		if !ok {
			return p, fmt.Errorf("bucket %s is not known: set %s%s_URL and its keys", name,
				bucketVariable, strings.ToUpper(name))
		}
		if strings.ContainsAny(path, "*?{}[]|'\"\\ ") {
			return p, errors.New("the path must be letters, digits and / . _ -")
		}
		p.Object = queries.Object{URL: b.URL + path, KeyID: b.KeyID, SecretKey: b.SecretKey}
		return p, nil
	}
	return p, errors.New("must be " + placeForms)
}
