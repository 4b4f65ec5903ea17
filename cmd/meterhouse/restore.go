package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// restore brings a backup into an empty database, brings its schema up to date, and prepares it for
// the nodes: none is running in it, and Stripe is told nothing before somebody compared.
func restore(ctx context.Context, args []string, std streams) (err error) {
	var c config
	var from queries.BackupPlace
	f := c.databaseFlags("restore", std)
	if err := c.exportsFlags(f); err != nil {
		return err
	}
	placeFlag(f, &c, "from", &from, "where the backup `is`: "+placeForms)
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	if from == (queries.BackupPlace{}) {
		fmt.Fprintln(std.err, "meterhouse restore: give --from, "+placeForms)
		return errUsage
	}
	logger := c.logger(std)
	d, err := openDatabase(ctx, &c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := restoreTables(ctx, d.queries, from, logger); err != nil {
		return err
	}
	applied, err := d.migrate(ctx, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "the backup's tables are there, %d migrations applied\n", applied)
	return prepareRestored(ctx, d.queries, std.out)
}

// restoreTables brings the tables of a backup into an empty database. It leaves it empty when it
// fails, so that it can be run again.
func restoreTables(
	ctx context.Context, q *queries.Queries, from queries.BackupPlace, logger *slog.Logger,
) error {
	tables, err := q.Tables(ctx)
	if err != nil {
		return err
	}
	if len(tables) > 0 {
		return fmt.Errorf("the database is not empty: it has %s and %d other tables; restore into a "+
			"database of its own", tables[0].Name, len(tables)-1)
	}
	restoring := func() error {
		version, err := q.RestoreSchemaVersion(ctx, from)
		if err != nil {
			return err
		}
		if newest := schema.Newest(); version > newest {
			return fmt.Errorf("the backup has schema version %d, this program knows %d: restore with "+
				"the program that made it, or a newer one", version, newest)
		}
		if err := q.DropAll(ctx); err != nil {
			return err
		}
		logger.Info("restoring", "schema", version)
		return q.Restore(ctx, from)
	}
	if err := restoring(); err != nil {
		emptying, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(errors.New(restoreProblem(err)), q.DropAll(emptying))
	}
	return nil
}

func restoreProblem(err error) string {
	text := backupProblem(err.Error())
	for hint, do := range map[string]string{
		"BACKUP_NOT_FOUND":      "there is no backup of this name",
		"BACKUP_DAMAGED":        "the backup is damaged: restore another",
		"CHECKSUM_DOESNT_MATCH": "the backup is damaged: restore another",
		"BACKUP_ENTRY_NOT_FOUND": "it is no backup of Meterhouse's, or of a database of another name: " +
			"restore into one that is named as it was",
		"WRONG_BASE_BACKUP":             "its base backup is not the one it was made from",
		"CANNOT_READ_ALL_DATA":          "the backup is damaged: restore another",
		"UNEXPECTED_END_OF_FILE":        "the backup is damaged: restore another",
		"FILE_DOESNT_EXIST":             "the backup is damaged, or not whole: restore another",
		"backup has an incorrect":       "the backup is damaged: restore another",
		"BACKUP_VERSION_NOT_SUPPORTED":  "a newer ClickHouse made the backup: restore with that",
		"SAXParseException":             "the backup is damaged: restore another",
		"CANNOT_DECOMPRESS":             "the backup is damaged: restore another",
		"CANNOT_PARSE_INPUT_ASSERTION_": "the backup is damaged: restore another",
	} {
		if strings.Contains(text, hint) {
			return text + ": " + do
		}
	}
	return text
}

// prepareRestored notes that the database was restored, and that no node has anything half done in
// it, as the backup was taken while none had; and says what it has of each.
func prepareRestored(ctx context.Context, q *queries.Queries, out io.Writer) error {
	now, err := q.Now(ctx)
	if err != nil {
		return err
	}
	id, err := q.Ledger(ctx)
	if err != nil {
		return err
	}
	if err := q.MarkRestored(ctx, id, now); err != nil {
		return err
	}
	if err := q.DropUnfixed(ctx); err != nil {
		return err
	}
	if err := releaseHolds(ctx, q); err != nil {
		return err
	}
	nodes, err := q.Nodes(ctx)
	if err != nil {
		return err
	}
	stored, err := q.StoredSequences(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := q.ForgetNode(ctx, n.ID); err != nil {
			return err
		}
		fmt.Fprintf(out, "node %s: what it stored after sequence %d is lost, unless its log has it: "+
			"it says so when it starts\n", n.ID, storedOf(stored, n.ID, n.Stored))
	}
	fmt.Fprintln(out, "corrections, keys, agents and rates of after the backup are lost; with "+
		"STRIPE_API_KEY nothing is reported until `meterhouse report --after-restore`")
	return nil
}

// releaseHolds ends the holds of the backup's time, that under which it was taken at least.
func releaseHolds(ctx context.Context, q *queries.Queries) error {
	for {
		_, active, err := q.Hold(ctx)
		if err != nil || active.ID == uuid.Nil {
			return err
		}
		if err := q.ReleaseHold(ctx, active); err != nil {
			return err
		}
	}
}

// storedOf returns up to where the ledger has a node's log, or had before months were retired.
func storedOf(stored []queries.NodeStored, node uuid.UUID, said uint64) uint64 {
	for _, s := range stored {
		if s.Node == node {
			return max(s.Stored, said)
		}
	}
	return said
}

// restored is told by ingest that the log is of another ledger: it notes that the database was
// restored, whoever did it, and which events are lost.
func (n *node) restored(ledger, node uuid.UUID, next uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	q := n.database.queries
	now, err := q.Now(ctx)
	if err != nil {
		return err
	}
	if err := q.MarkRestored(ctx, ledger, now); err != nil {
		return err
	}
	stored, err := q.StoredSequences(ctx)
	if err != nil {
		return err
	}
	nodes, err := q.Nodes(ctx)
	if err != nil {
		return err
	}
	said := uint64(0)
	for _, other := range nodes {
		if other.ID == node {
			said = other.Stored
		}
	}
	lost := queries.LostRun{
		Ledger: ledger, Node: node, First: storedOf(stored, node, said) + 1, Last: next - 1,
	}
	if lost.Last < lost.First {
		return nil
	}
	n.logger.Error("events that were stored after the backup are lost: neither the database nor the "+
		"log has them; have the clients send them again", "events", lost.Events(),
		"first", lost.First, "last", lost.Last)
	return q.SayLost(ctx, lost, now)
}
