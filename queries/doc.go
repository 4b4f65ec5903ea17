// Package queries holds every question Meterhouse asks ClickHouse and everything it inserts: one
// .sql file each, which runs unchanged in clickhouse-client, and its typed twin.
//
// Every question has bounds (see settings.go) and is cancelled with its context. Ranges are half
// open, in UTC. An error reads as a path: the question's name, what was being done, the cause.
package queries
