package queries

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/schema"
)

// clusterDefaults are settings of every connection to a cluster that a DSN may replace: how many
// replicas have an insert when it is answered, and which one is asked.
func clusterDefaults() clickhouse.Settings {
	return clickhouse.Settings{
		"insert_quorum":         "auto", // most of them
		"insert_quorum_timeout": 30_000, // milliseconds
		// Everybody asks the first replica of a shard that answers, so that what one node stored the
		// others find, and the second is there for the day it does not.
		"load_balancing":               "in_order",
		"prefer_localhost_replica":     0,
		"distributed_ddl_task_timeout": 180,
	}
}

// clusterSettings are those that our sums rely on.
func clusterSettings() clickhouse.Settings {
	return clickhouse.Settings{
		// An insert is answered when the shards have stored it, not when it is queued for them; each
		// gets its rows as one block under the insert's token.
		"distributed_foreground_insert":       1,
		"insert_distributed_one_random_shard": 0,
		"parallel_distributed_insert_select":  0,
		// No answer is made of fewer shards than there are; an organization's asks one.
		"skip_unavailable_shards":     0,
		"optimize_skip_unused_shards": 1,
		// An organization's rows are on one shard, so what is joined with them is there too.
		"distributed_product_mode": "local",
		// What is inserted into a journal is found by whoever reads it afterwards, on any replica.
		"insert_quorum_parallel": 0,
		// Rewriting looks up the erasure it is of; every replica has the same.
		"allow_nondeterministic_mutations": 1,
		"distributed_ddl_output_mode":      "throw",
		"alter_sync":                       2,
	}
}

// consistent is of a question that reads a table every server has whole: where journals are read,
// a replica that lags answers with an error rather than with the past. One server ignores it.
var consistent = clickhouse.Settings{"select_sequential_consistency": 1}

var readTables = regexp.MustCompile(`(?:FROM|JOIN)\s+([a-z_0-9]+)`)

// settingsOf returns what every question of a text is asked with.
func settingsOf(text string) clickhouse.Settings {
	for _, table := range readTables.FindAllStringSubmatch(text, -1) {
		if !schema.Sharded(table[1]) && table[1] != "system" {
			return maps.Clone(consistent)
		}
	}
	return nil
}

const (
	codeQuorumBusy = 286 // another insert of this table has no quorum yet: nothing was written
	codeReplicaLag = 289 // the replica does not have the newest insert yet
)

// quorumPatience is how long it is waited for replicas that are just being told.
const quorumPatience = 5 * time.Second

// whenSettled does something again while a cluster says that replicas are just being told of
// another insert. Neither answer leaves anything done.
func whenSettled(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(quorumPatience)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 300*time.Millisecond) {
		err := do()
		exception := (*clickhouse.Exception)(nil)
		if !errors.As(err, &exception) ||
			exception.Code != codeQuorumBusy && exception.Code != codeReplicaLag ||
			time.Now().Add(wait).After(deadline) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// change runs a file of ours that alters or merges a table, in its form for the cluster if there is
// one.
func (q *Queries) change(ctx context.Context, name string, args ...any) error {
	statement := sqlFile(name + ".sql")
	forms := []string{statement}
	if q.cluster.Name != "" {
		var err error
		if forms, err = schema.ClusterForm(statement, q.cluster); err != nil {
			return err
		}
	}
	for _, form := range forms {
		if err := q.exec(ctx, name, form, args...); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the question that asks one server, or the one that asks all of a cluster.
func pick[P, R any](q *Queries, one, all question[P, R]) question[P, R] {
	if q.cluster.Name == "" {
		return one
	}
	bind, cluster := all.bind, q.cluster
	all.bind = func(p P) []any {
		return append(bind(p), text("cluster", cluster.Name), text("database", cluster.Database))
	}
	return all
}

// notOnCluster returns the error of what is not done on a cluster.
func (q *Queries) notOnCluster(what string) error {
	if q.cluster.Name == "" {
		return nil
	}
	return fmt.Errorf("%s is not written on a cluster: do it shard by shard, as docs/cluster.md "+
		"says under \"Rebuilding\"", what)
}

var clusterForm = ask("cluster_form", bindNone, func(engine *string) []any {
	return []any{engine}
})

// checkForm returns an error when the database was migrated for another number of servers than it
// is used with: an insert that a cluster answers too early would be lost, and one into a local table
// would be on one server.
func (q *Queries) checkForm(ctx context.Context) error {
	engine, there, err := first(ctx, q.conn, clusterForm, none{})
	switch {
	case err != nil || !there:
		return err
	case engine == "Distributed" && q.cluster.Name == "":
		return errors.New("the database is a cluster's: set METERHOUSE_CLUSTER to its name")
	case engine != "Distributed" && q.cluster.Name != "":
		return fmt.Errorf("the database was migrated for one server, not for the cluster %s: "+
			"unset METERHOUSE_CLUSTER, or use a database of its own (docs/cluster.md)",
			q.cluster.Name)
	}
	return nil
}

// syncReplicas returns when every replica has what the others had stored.
func (q *Queries) syncReplicas(ctx context.Context) error {
	if q.cluster.Name == "" {
		return nil
	}
	for _, table := range schema.ShardedTables() {
		// Neither the cluster's name nor a table's can be a parameter here. Both are checked.
		statement := "SYSTEM SYNC REPLICA ON CLUSTER '" + q.cluster.Name + "' " +
			schema.LocalTable(table)
		if err := q.exec(ctx, "sync", statement); err != nil {
			return fmt.Errorf("sync %s: %w", table, brief(err))
		}
	}
	return nil
}
