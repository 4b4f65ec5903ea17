package schema

import (
	"time"

	"github.com/google/uuid"
)

// Dimension is a way to tell usage apart. The set is closed: see Dimensions.
type Dimension string

// The dimensions, by the names of the ledger's columns.
const (
	DimensionAgent      Dimension = "agent_id"
	DimensionUser       Dimension = "user_id"
	DimensionService    Dimension = "service"
	DimensionChannel    Dimension = "channel"
	DimensionAPIName    Dimension = "api_name"
	DimensionEndpoint   Dimension = "endpoint"
	DimensionProvider   Dimension = "provider"
	DimensionModel      Dimension = "model"
	DimensionPurpose    Dimension = "purpose"
	DimensionChargeable Dimension = "chargeable"
	DimensionUsageType  Dimension = "usage_type"
)

// Dimensions returns all of them, in the order in which contracts and answers list them.
func Dimensions() []Dimension {
	return []Dimension{
		DimensionAgent, DimensionUser, DimensionService, DimensionChannel, DimensionAPIName,
		DimensionEndpoint, DimensionProvider, DimensionModel, DimensionPurpose,
		DimensionChargeable, DimensionUsageType,
	}
}

// Granularity is the length of a bucket on the clock of a zone. A bucket never spans a change of
// the zone's offset unless it is at least a day.
type Granularity string

// The granularities. A week is ISO 8601's: it starts on a Monday.
const (
	QuarterHour Granularity = "15m"
	Hour        Granularity = "hour"
	Day         Granularity = "day"
	Week        Granularity = "week"
	Month       Granularity = "month"
	Total       Granularity = "total" // one bucket
)

// UsageOrder says what rows are ordered by, the greatest first.
type UsageOrder string

// The orders. The zero UsageOrder is by time, then by the dimensions.
const (
	OrderQuantity   UsageOrder = "quantity"
	OrderBilledCost UsageOrder = "billed_cost"
	OrderEvents     UsageOrder = "events"
)

// UsageQuery asks what an organization used in [From, To), exact to the microsecond.
type UsageQuery struct {
	Organization uuid.UUID
	From, To     time.Time
	Granularity  Granularity
	Zone         *time.Location // of the buckets
	GroupBy      []Dimension    // each once
	// Filters names, of some dimensions, the values that count: any of them. Ids are canonical
	// UUIDs (the zero one: none), chargeable is "true" or "false".
	Filters map[Dimension][]string
	// Top keeps the rows of the so many combinations of GroupBy that are the greatest by OrderBy
	// over the whole range, and adds the others up, in each bucket, in a row that is Other. 0: all.
	Top     int
	OrderBy UsageOrder // rows of one bucket, when it is given; needed with Top
}

// UsageRow is the usage of one bucket and one combination of the dimensions that were asked for.
type UsageRow struct {
	Time   time.Time // start of the bucket, in the query's zone; of Total the query's From
	Values []string  // in the order of GroupBy, written as in Filters; of Other empty strings
	Other  bool

	// Counted says that the row is of one usage type, so that Quantity is of one unit and Events
	// can be known: events of that type. Without it Quantity means nothing, and Events are those of
	// all types, each once, if no type was filtered out, and -1 otherwise.
	Counted      bool
	Quantity     Quantity
	Events       int64
	ProviderCost USD
	BilledCost   USD
	Unpriced     int64 // measurements without a rate; of a Counted row the events that have one
}
