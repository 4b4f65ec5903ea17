package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// DueParams asks what has to be carried.
type DueParams struct {
	Organization uuid.UUID // zero: every one's
	Mode         schema.ReportMode
	From         time.Time // older hours, and periods that began before, are left alone
	Oldest       time.Time // windows before are too old for Stripe
	Carried      time.Time // what was carried from an origin after waits

	// CreditLimit is the percentage of what was invoiced or told up to which units are taken off;
	// what goes beyond is left out, or, with Withheld, all there is. 0: any amount.
	CreditLimit uint64
	Withheld    bool

	Limit uint64
}

// Due is units that Stripe has to be told of elsewhere.
type Due struct {
	Organization uuid.UUID
	Meter        string
	From         time.Time // the hour, or the start of the closed period
	Period       bool      // it is a closed period
	Number       uint32    // of the next carry
	Units        int64
}

var (
	dueCarries = ask("due_carries",
		func(p DueParams) []any {
			return []any{
				id("organization", p.Organization), number("mode", uint64(p.Mode)),
				second("from", p.From), second("oldest", p.Oldest), moment("carried", p.Carried),
				number("credit", p.CreditLimit), clickhouse.Named("withheld", p.Withheld),
				number("limit", p.Limit),
			}
		},
		func(d *Due) []any {
			return []any{&d.Organization, &d.Meter, &d.From, &d.Period, &d.Number, &d.Units}
		}).with(reportSettings)

	carryWritten = ask("carry_written",
		func(c schema.Carry) []any {
			return []any{
				id("organization", c.Organization), text("meter", c.Meter),
				second("from", c.From), number("number", uint64(c.Number)),
			}
		},
		func(id *uuid.UUID) []any { return []any{id} })

	slotCarries = ask("slot_carries", bindSlot, func(c *schema.Carry) []any {
		return []any{
			&c.From, &c.Number, &c.ID, &c.To, &c.Units, &c.Reason, &c.CreatedAt, &c.Writer,
		}
	})
)

const insertReportCarries = "insert_report_carries"

// reportSettings are those of the questions about every slot: they are asked beside everything
// else, so on two threads, and they spill to disk what is more than some million slots.
var reportSettings = clickhouse.Settings{
	"max_threads":                        2,
	"max_memory_usage":                   3 << 30,
	"max_bytes_before_external_group_by": 1 << 30,
	"max_bytes_before_external_sort":     1 << 30,
	"max_execution_time":                 600,
}

// DueCarries returns what closed periods and hours that Stripe takes no more lack: of a finalized
// period, what is billable in it beyond what was invoiced; of an hour in no such period that was
// reported once or came after the first that was, what is billable beyond what Stripe has, unless a
// revision of it is open. What was carried before is taken off. Hours of more than
// schema.SlotUnitsMax, and those before the organization's Stripe.Since, count as they were told.
func (q *Queries) DueCarries(ctx context.Context, p DueParams) ([]Due, error) {
	all, err := collect(ctx, q.conn, dueCarries, p)
	for i := range all {
		all[i].From = all[i].From.UTC()
	}
	return all, err
}

// InsertCarry writes a carry unless its number is taken. Whether it was, CarryWritten tells, as with
// FreezeIntents.
func (q *Queries) InsertCarry(ctx context.Context, c schema.Carry, within time.Duration) error {
	token := fmt.Sprintf("carry:%s:%s:%d:%d", c.Organization, c.Meter, c.From.Unix(), c.Number)
	return q.insertRow(ctx, insertReportCarries, claimSettings(token, within), []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "meter", Type: "LowCardinality(String)"},
		{Name: "from_window", Type: "DateTime('UTC')"},
		{Name: "number", Type: "UInt32"},
		{Name: "id", Type: "UUID"},
		{Name: "to_window", Type: "DateTime('UTC')"},
		{Name: "units", Type: "Int64"},
		{Name: "reason", Type: "String"},
		{Name: "created_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "writer", Type: "UUID"},
	}, c.Organization, c.Meter, c.From.UTC(), c.Number, c.ID, c.To.UTC(), c.Units, c.Reason,
		c.CreatedAt.UTC(), c.Writer)
}

// CarryWritten reports whether a carry is there: whether its writer was first.
func (q *Queries) CarryWritten(ctx context.Context, c schema.Carry) (bool, error) {
	winner, ok, err := first(ctx, q.conn, carryWritten, c)
	return ok && winner == c.ID, err
}

// SlotCarries returns the carries into and out of a slot, and out of the period that starts in it.
func (q *Queries) SlotCarries(ctx context.Context, s schema.Slot) ([]schema.Carry, error) {
	all, err := collect(ctx, q.conn, slotCarries, s)
	for i := range all {
		c := &all[i]
		c.Organization, c.Meter = s.Organization, s.Meter
		c.From, c.To, c.CreatedAt = c.From.UTC(), c.To.UTC(), c.CreatedAt.UTC()
	}
	return all, err
}
