package queries

import (
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// EventBatch is rows of usage_events, kept column by column in the form they travel in. The same
// events appended in the same order make the same bytes. It is for one goroutine; the zero value
// is an empty batch.
//
// clickhouse-go's own appending costs an interface value per cell of a LowCardinality column and
// three big.Ints per decimal. The columns here are its wire format from the start, so that a
// column is handed over by one copy: see InsertEvents.
type EventBatch struct {
	organization proto.ColUUID
	event        proto.ColUUID
	revision     proto.ColUInt32
	entry        proto.ColEnum8
	eventTime    proto.ColInt64 // microseconds
	ingestTime   proto.ColInt64 // microseconds
	user         proto.ColUUID
	agent        proto.ColUUID

	service          dictionary
	channel          dictionary
	apiName          dictionary
	endpoint         dictionary
	provider         dictionary
	providerEndpoint dictionary
	providerKey      dictionary
	model            dictionary
	chargeable       proto.ColBool
	purpose          dictionary
	usageType        dictionary

	ordinal      proto.ColUInt8
	quantity     proto.ColDecimal128
	providerCost proto.ColDecimal128
	billedCost   proto.ColDecimal128
	rate         proto.ColUUID
	pricing      proto.ColEnum8
	node         proto.ColUUID
	sequence     proto.ColUInt64

	wire proto.Buffer // reused from insert to insert
}

// wireColumn is a column in ClickHouse's Native format.
type wireColumn interface {
	EncodeColumn(*proto.Buffer)
	Reset()
}

// namedColumn ties a column of a batch to the table's.
type namedColumn struct {
	name, kind string // kind is ClickHouse's type
	column     wireColumn
}

// columns returns the batch's columns in the order of the table's.
func (b *EventBatch) columns() []namedColumn {
	const (
		id    = "UUID"
		label = "LowCardinality(String)"
		at    = "DateTime64(6, 'UTC')"
	)
	return []namedColumn{
		{"organization_id", id, &b.organization},
		{"event_id", id, &b.event},
		{"revision", "UInt32", &b.revision},
		{"entry", "Enum8('reversal' = -1, 'record' = 1)", &b.entry},
		{"event_time", at, &b.eventTime},
		{"ingest_time", at, &b.ingestTime},
		{"user_id", id, &b.user},
		{"agent_id", id, &b.agent},
		{"service", label, &b.service},
		{"channel", label, &b.channel},
		{"api_name", label, &b.apiName},
		{"endpoint", label, &b.endpoint},
		{"provider", label, &b.provider},
		{"provider_endpoint", label, &b.providerEndpoint},
		{"provider_key", label, &b.providerKey},
		{"model", label, &b.model},
		{"chargeable", "Bool", &b.chargeable},
		{"purpose", label, &b.purpose},
		{"usage_type", label, &b.usageType},
		{"ordinal", "UInt8", &b.ordinal},
		{"quantity", "Decimal(38, 6)", &b.quantity},
		{"provider_cost", "Decimal(38, 12)", &b.providerCost},
		{"billed_cost", "Decimal(38, 12)", &b.billedCost},
		{"rate_id", id, &b.rate},
		{"pricing", "Enum8('unpriced' = 0, 'rated' = 1, 'given' = 2)", &b.pricing},
		{"node", id, &b.node},
		{"sequence", "UInt64", &b.sequence},
	}
}

// Rows returns how many rows the batch holds.
func (b *EventBatch) Rows() int { return len(b.sequence) }

// Span returns the range of the rows' event times, [from, to); zero times for an empty batch.
func (b *EventBatch) Span() (from, to time.Time) {
	if len(b.eventTime) == 0 {
		return from, to
	}
	first, last := slices.Min(b.eventTime), slices.Max(b.eventTime)
	return time.UnixMicro(first).UTC(), time.UnixMicro(last + 1).UTC()
}

// FirstIngested returns when the first row's event came in; the zero time when there is no row.
func (b *EventBatch) FirstIngested() time.Time {
	if len(b.ingestTime) == 0 {
		return time.Time{}
	}
	return time.UnixMicro(b.ingestTime[0])
}

// Reset empties the batch and keeps its memory.
func (b *EventBatch) Reset() {
	for _, c := range b.columns() {
		c.column.Reset()
	}
}

// Append adds a row for each measurement of an event, which has this sequence in the log of this
// node. Nothing of the event is kept: its strings may be reused.
func (b *EventBatch) Append(e *schema.Event, node uuid.UUID, sequence uint64) {
	eventTime, ingestTime := micros(e.Time), micros(e.IngestTime)
	for ordinal := range e.Measurements {
		m := &e.Measurements[ordinal]
		b.organization = append(b.organization, e.Organization)
		b.event = append(b.event, e.ID)
		b.revision = append(b.revision, e.Revision)
		b.entry = append(b.entry, proto.Enum8(e.Entry))
		b.eventTime = append(b.eventTime, eventTime)
		b.ingestTime = append(b.ingestTime, ingestTime)
		b.user = append(b.user, e.User)
		b.agent = append(b.agent, e.Agent)
		b.service.append(e.Service)
		b.channel.append(e.Channel)
		b.apiName.append(e.APIName)
		b.endpoint.append(e.Endpoint)
		b.provider.append(e.Provider)
		b.providerEndpoint.append(e.ProviderEndpoint)
		b.providerKey.append(e.ProviderKey)
		b.model.append(e.Model)
		b.chargeable = append(b.chargeable, e.Chargeable)
		b.purpose.append(e.Purpose)
		b.usageType.append(m.UsageType)
		b.ordinal = append(b.ordinal, uint8(ordinal))
		b.quantity = append(b.quantity, decimal128(m.Quantity.Coefficient()))
		b.providerCost = append(b.providerCost, decimal128(m.ProviderCost.Coefficient()))
		b.billedCost = append(b.billedCost, decimal128(m.BilledCost.Coefficient()))
		b.rate = append(b.rate, m.Rate)
		b.pricing = append(b.pricing, proto.Enum8(m.Pricing))
		b.node = append(b.node, node)
		b.sequence = append(b.sequence, sequence)
	}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0 // the year 1 is before what a DateTime64 can hold
	}
	return t.UnixMicro()
}

func decimal128(n schema.Int128) proto.Decimal128 {
	return proto.Decimal128{Low: n.Lo, High: uint64(n.Hi)}
}
