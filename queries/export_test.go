package queries

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Asked is a question with parameters bound to it.
type Asked struct {
	Name string
	Text string
	Args []any
}

func asked[P, R any](q question[P, R], p P) Asked {
	return Asked{Name: q.name, Text: q.text, Args: q.bind(p)}
}

// onCluster asks what the cluster of schematest is asked.
var onCluster = &Queries{cluster: schema.Cluster{Name: "meterhouse_test", Database: "default"}}

// AllAsked returns every question this package asks, about one organization and agent (id) in a
// range where the questions have one.
func AllAsked(id uuid.UUID, from, to time.Time) []Asked {
	event := uuid.NewSHA1(uuid.NameSpaceURL, []byte("event 1 3")) // one there is
	all := []Asked{
		asked(agentUsage, AgentUsageParams{Organization: id, Agent: id, From: from, To: to}),
		asked(agentUsageQuarters, AgentUsageParams{
			Organization: id, Agent: id, From: from.Truncate(quarter), To: to.Truncate(quarter),
		}),
		asked(agentFirstEvent, AgentFirstEventParams{Organization: id, Agent: id}),
		asked(eventEntries.places, EventParams{Organization: id, Event: event}),
		asked(eventEntries.search, EventParams{Organization: id, Event: event}),
		asked(usageRecord.places, EventParams{Organization: id, Event: event}),
		asked(usageRecord.search, EventParams{Organization: id, Event: event}),
		asked(correctionReasons, correctionReasonsParams{id, []uint64{1}}),
		asked(usageRecords, recordsPage{
			UsageRecordsParams{Organization: id, Limit: 100},
			recordsWindow{from: from.Truncate(time.Hour), to: from.Truncate(time.Hour).Add(time.Hour)},
		}),
		asked(usageRecordsHours, recordsPage{
			UsageRecordsParams: UsageRecordsParams{Organization: id, Limit: 100},
		}),
		asked(usageRecordsDays, recordsPage{
			UsageRecordsParams: UsageRecordsParams{Organization: id, User: id, Limit: 100},
		}),
		asked(billableRequests, BillableRequestsParams{
			Organization: id, User: id, From: from, To: to, Limit: 100,
		}),
		asked(billableTotals, BillableRequestsParams{
			Organization: id, User: id, From: from, To: to,
		}),
		asked(consumptionDaily,
			ConsumptionParams{Organization: id, Agent: id, From: from, To: to}),
		asked(consumptionMonthly,
			ConsumptionParams{Organization: id, From: from, To: to}),
		asked(catalogVersion, none{}),
		asked(restores, none{}),
		asked(restoredNodes, none{}),
		asked(ledger, none{}),
		asked(newestSequences, none{}),
		asked(backups, ""),
		asked(doctorServer, none{}),
		asked(doctorDisks, none{}),
		asked(doctorWindows, none{}),
		asked(doctorMutations, none{}),
		asked(doctorParts, none{}),
		asked(doctorErrors, none{}),
		asked(currentDatabase, none{}),
		asked(databaseTables, none{}),
		asked(schemaVersion, none{}),
		asked(catalogAudit, CatalogAuditParams{Version: 1 << 62, Limit: 100}),
		asked(unpriced, UnpricedParams{Organization: id, From: from, To: to, Limit: 100}),
		asked(organizations, none{}),
		asked(retiredOrganizations, none{}),
		asked(users, none{}),
		asked(memberships, none{}),
		asked(agents, none{}),
		asked(services, none{}),
		asked(meters, none{}),
		asked(credentials, none{}),
		asked(textModelCosts, none{}),
		asked(rates, []uuid.UUID{id}),
		asked(correctionsState, id),
		asked(correction, CorrectionParams{Organization: id, Number: 1}),
		asked(correctionID, CorrectionParams{Organization: id, Number: 1}),
		asked(openCorrections, none{}),
		asked(pricedEvents, PricedEventsParams{
			Organization: id, From: from, To: to, After: Place{Time: from}, Limit: 100,
		}),
		asked(usageOrganizations, VerifyParams{From: from, To: to}),
		asked(nodes, none{}),
		asked(hold, none{}),
		asked(nodeKeys, NodeKeysParams{Node: id, After: 1, To: 2, Limit: 100}),
		asked(doubledEvents, []uuid.UUID{id}),
		asked(keysKept, none{}),
		asked(keyWeeks, from),
		asked(clusterForm, none{}),
		asked(pick(onCluster, keyWeeks, keyWeeksCluster), from),
		asked(pick(onCluster, unfinishedMutations, unfinishedMutationsCluster), []string{"users"}),
		asked(pick(onCluster, usageVersion, usageVersionCluster),
			[]tablePartitions{{"usage_events", "202601", "202612"}}),
		asked(doubledKeys, slice{0, 1}),
		asked(doubledEntries, DoubledParams{
			Organization: id, Events: []uuid.UUID{id}, Times: []time.Time{from},
		}),
		asked(verifyCorrections, VerifyParams{From: from, To: to}),
		asked(verifyReports, VerifyParams{From: from, To: to}),
		asked(verifyDimensions, VerifyParams{From: from, To: to}),
		asked(verifyPlaces, placesParams{VerifyParams{From: from, To: to}, 1, 3}),
		asked(verifyMonthSizes, VerifyParams{From: from, To: to}),
		asked(verifySuspects, suspectsParams{VerifyParams{From: from, To: to}, 1, 4}),
		asked(verifyEvents, eventsParams{VerifyParams{From: from, To: to}, []uint64{1}}),
		asked(verifySize, VerifyParams{From: from, To: to}),
		asked(verifySequences, none{}),
		asked(verifyGaps, GapsParams{Node: id, First: 1, Last: 9}),
		asked(verifyDays, from),
		asked(verifyRollups, VerifyParams{From: from, To: to, Days: []time.Time{from}}),
		asked(verifyMonths, monthsParams{VerifyParams{From: from, To: to}, []uuid.UUID{id}}),
		asked(retiredSequences, none{}),
		asked(erasures, "subject"),
		asked(erasedTraces, Erasure{ID: id}),
		asked(erasedArrivals, Erasure{Subject: "subject"}),
		asked(unfinishedMutations, []string{"usage_events"}),
		asked(retentionMonths, RetentionMonthsParams{Organization: id, Before: from}),
		asked(retentionShared, RetentionParams{Month: from, Organizations: []uuid.UUID{id}}),
		asked(retentionEvents, RetentionParams{Month: from, Organizations: []uuid.UUID{id}}),
		asked(retentionBlocked, RetentionBlockedParams{Organization: id, Month: from}),
		asked(retiredMonths, none{}),
		asked(newestBatch, none{}),
		asked(slotRevisions, schema.Slot{Organization: id, Meter: "usage", Start: from}),
		asked(slotOutcomes, schema.Slot{Organization: id, Meter: "usage", Start: from}),
		asked(revisionOf, IdentifierParams{Organization: id, Start: from, Identifier: "mh1"}),
		asked(toldCustomers, from),
		asked(toldMeters, from),
		asked(stripeAccount, none{}),
		asked(toldRevisions, from),
		asked(accountInvoiced, none{}),
		asked(reportRuns, 1),
		asked(leaseHolder, "lease"),
		asked(stripePeriods, id),
		asked(openWebhooks, 1),
		asked(slotStatuses, SlotsParams{Organization: id, From: from, To: to, Limit: 100}),
		asked(slotUsage, schema.Slot{Organization: id, Meter: "usage", Start: from}),
		asked(slotEvents, SlotEventsParams{
			Slot: schema.Slot{Organization: id, Meter: "usage", Start: from}, Limit: 100,
		}),
		asked(slotCarries, schema.Slot{Organization: id, Meter: "usage", Start: from}),
		asked(reported, ReportedParams{
			Organization: id, Mode: schema.Raw, From: from, To: to, Settled: to,
		}),
		asked(reportBacklog, OpenSlotsParams{
			Mode: schema.Preaggregated, From: from, Sealed: to, Now: to,
		}),
		asked(comparisons, ComparisonsParams{Organization: id, From: from, To: to, Limit: 100}),
		asked(differences, from),
		asked(estimateUsage, EstimateParams{Organization: id, From: from, To: to, Recent: from}),
		asked(dueCarries, DueParams{
			Organization: id, Mode: schema.Raw, From: from, Oldest: to, Carried: to, Limit: 100,
		}),
		asked(carryWritten, schema.Carry{Organization: id, Meter: "usage", From: from, Number: 1}),
		asked(batchFrozen, 1),
		asked(openSlots, OpenSlotsParams{
			Mode: schema.Preaggregated, From: from, Sealed: to, Now: to, Limit: 100,
		}),
		asked(anomalies, schema.AnomaliesParams{
			Organization: id, Agent: id, From: from, To: to, Limit: 100,
		}),
		asked(batchSequences, BatchSequencesParams{
			Node: id, First: 1, Last: 100, From: from, To: to,
		}),
		asked(savedExport, ExportParams{Organization: id, Export: id}),
		asked(savedExports, savedExportsParams{id, 100}),
		asked(openExports, none{}),
		asked(exportParts, ExportPartsParams{Organization: id, Exports: []uuid.UUID{id}}),
		asked(exportHours, ExportEventsParams{Organization: id, From: from, To: to}),
		asked(exportEvents, ExportEventsParams{Organization: id, From: from, To: to}),
		asked(consoleKeys, none{}),
		asked(serverVersion, none{}),
		asked(eventsHours, eventsAsked(id, uuid.Nil, from, to)),
		asked(eventsQuarters, eventsAsked(id, id, from, to)),
		asked(eventsDays, eventsAsked(id, uuid.Nil, from, to)),
		asked(eventsFound, eventsAsked(
			id, uuid.Nil, from.Truncate(time.Hour), from.Truncate(time.Hour).Add(time.Hour),
		).EventsParams),
		asked(eventsEntries, eventsEntriesParams{
			id, []uuid.UUID{event}, []uuid.UUID{id}, []time.Time{from},
		}),
	}
	all = append(all, usageAsked(id, from, to)...)
	for _, r := range rebuilds {
		p := RebuildParams{From: from, To: to, Organizations: []uuid.UUID{id}}
		all = append(all, Asked{Name: r.staging, Text: r.lacking.text, Args: r.lacking.bind(p)})
	}
	return all
}

// eventsAsked asks for a page of an organization's events, or of an agent's.
func eventsAsked(id, agent uuid.UUID, from, to time.Time) eventsWindowParams {
	return eventsWindowParams{EventsParams{
		Organization: id, Agent: agent, From: from, Before: EventPosition{Time: to}, Limit: 50,
	}, 51}
}

// AllInserted returns the names of the files that insert.
func AllInserted() []string {
	names := []string{insertEventsName, insertCatalogAudit, insertCatalogChanges}
	names = append(names, rebuildDimensions, rebuildEventPlaces, insertCorrections, insertCorrectionsApplied, insertNodes, insertHolds)
	names = append(names, dropEventKeys) // it is no question either
	names = append(names, rewrites()...)
	names = append(names, insertReportIntents, insertReportOutcomes, insertReportRuns,
		insertReportLeases, insertStripePeriods, insertStripeWebhooks, insertReportCarries,
		insertStripeComparisons, insertStripeAccounts)
	names = append(names, insertExports, insertExportParts)
	names = append(names, insertConsoleKeys)
	names = append(names, insertRestores, insertRestoredNodes, dropUnfixedOutcomes)
	names = append(names, exportEventsS3, exportObject, exportUpload) // of a store that is elsewhere
	for _, t := range catalogRows(schema.Catalog{}, false, 1) {
		names = append(names, t.name)
	}
	return names
}

// EventColumns returns the names of an EventBatch's columns, in order.
func EventColumns() []string {
	var names []string
	for _, c := range new(EventBatch).columns() {
		names = append(names, c.name)
	}
	return names
}

// ExportColumns returns the names of the columns of export_events, in order.
func ExportColumns() []string {
	_, list, _ := strings.Cut(exportEvents.text, "SELECT\n")
	list, _, _ = strings.Cut(list, "\nFROM")
	var names []string
	for _, column := range strings.Split(list, "\n") {
		_, name, _ := strings.Cut(column, " AS ")
		names = append(names, strings.TrimSuffix(name, ","))
	}
	return names
}

// EncodeNative does everything of an insert that needs no server: it fills the columns of
// clickhouse-go with a batch's and writes the block they make.
func EncodeNative(w io.Writer, b *EventBatch) error {
	block := proto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
	for _, c := range b.columns() {
		if err := block.AddColumn(c.name, column.Type(c.kind)); err != nil {
			return err
		}
	}
	if err := fill(nativeBatch{block: &block}, b.columns(), b.Rows(), &b.wire); err != nil {
		return err
	}
	var buffer chproto.Buffer
	if err := block.Encode(&buffer, 0); err != nil {
		return err
	}
	_, err := w.Write(buffer.Buf)
	return err
}

// nativeBatch is a driver.Batch of which only the columns are used.
type nativeBatch struct {
	driver.Batch
	block *proto.Block
}

func (b nativeBatch) Columns() []column.Interface { return b.block.Columns }

// OpenCluster opens a database of schematest.NewCluster, whose one server runs what is said to the
// whole cluster by itself.
func OpenCluster(ctx context.Context, options *clickhouse.Options, name string) (*Queries, error) {
	own := *options
	own.Settings = clickhouse.Settings{"prefer_localhost_replica": 1}
	q, err := Open(ctx, Config{Options: &own, Cluster: name})
	if err == nil {
		q.conn = aloneConn{q.conn, " ON CLUSTER '" + name + "'"}
	}
	return q, err
}

// WhenSettled is whenSettled, SettingsOf settingsOf.
var (
	WhenSettled = whenSettled
	SettingsOf  = settingsOf
)

type aloneConn struct {
	driver.Conn
	onCluster string
}

func (c aloneConn) Exec(ctx context.Context, query string, args ...any) error {
	query = strings.ReplaceAll(query, c.onCluster, "")
	if strings.HasPrefix(query, "SYSTEM SYNC REPLICA") {
		return nil // there are none
	}
	return c.Conn.Exec(ctx, query, args...)
}

// Answer returns the rows of a question, whatever they are, as text.
func (q *Queries) Answer(ctx context.Context, a Asked) (answer []string, err error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settingsOf(a.Text)))
	rows, err := q.conn.Query(ctx, a.Text, a.Args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row []any
		for _, column := range rows.ColumnTypes() {
			row = append(row, reflect.New(column.ScanType()).Interface())
		}
		if err := rows.Scan(row...); err != nil {
			return nil, err
		}
		line, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		answer = append(answer, string(line))
	}
	return answer, rows.Err()
}
