package queries

import (
	"maps"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Bounds of one question. A DSN may state others.
const (
	secondsMax    = 60
	memoryMax     = 4 << 30
	resultRowsMax = 5_000_000
)

// BatchRowsMax bounds the rows of one EventBatch: a batch is inserted as one block.
const BatchRowsMax = 1 << 20

// connectionSettings returns the settings of every connection: bounds, which given may replace,
// and what our sums rely on, which it may not. None of it is left to a server's default.
func connectionSettings(given clickhouse.Settings, cluster bool) clickhouse.Settings {
	s := clickhouse.Settings{
		"max_execution_time":    secondsMax,
		"timeout_overflow_mode": "throw",
		"max_memory_usage":      memoryMax,
		"max_result_rows":       resultRowsMax,
		"result_overflow_mode":  "throw",
	}
	if cluster {
		maps.Copy(s, clusterDefaults())
	}
	maps.Copy(s, given)
	if cluster {
		maps.Copy(s, clusterSettings())
	}
	maps.Copy(s, clickhouse.Settings{
		"async_insert":     0, // an insert is answered when it is stored
		"session_timezone": "UTC",
		"join_use_nulls":   0, // a missing dimension reads as empty strings
		// Over HTTP a server would go on with a question whose asker is gone.
		"cancel_http_readonly_queries_on_client_close":       1,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"materialized_views_ignore_errors":                   0,
	})
	return s
}

// insertSettings makes an insert of events one block, in the ledger and behind its views, and a
// repeat of it under the same token the same blocks: nothing is split, squashed by bytes, or
// produced in an order that depends on threads.
func insertSettings(token string) clickhouse.Settings {
	return clickhouse.Settings{
		"insert_deduplication_token":                         token,
		"insert_deduplicate":                                 1,
		"deduplicate_insert":                                 "enable",
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"materialized_views_ignore_errors":                   0,
		"async_insert":                                       0,
		// Batches are independent of each other: none waits for another's quorum.
		"insert_quorum_parallel": 1,

		"max_insert_block_size":                              BatchRowsMax,
		"max_insert_block_size_bytes":                        0,
		"min_insert_block_size_rows":                         BatchRowsMax,
		"min_insert_block_size_bytes":                        0,
		"min_insert_block_size_rows_for_materialized_views":  BatchRowsMax,
		"min_insert_block_size_bytes_for_materialized_views": 0,

		"max_block_size":                     BatchRowsMax,
		"group_by_two_level_threshold":       0,
		"group_by_two_level_threshold_bytes": 0,
		"max_threads":                        1,
		"max_insert_threads":                 1,
		"parallel_view_processing":           0,

		// The views group already: sorting and summing their rows again finds nothing to sum.
		"optimize_on_insert": 0,

		// 400 days of the past and late corrections of them, by month.
		"max_partitions_per_insert_block":          1000,
		"throw_on_max_partitions_per_insert_block": 1,
	}
}
