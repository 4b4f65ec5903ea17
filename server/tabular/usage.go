package tabular

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// UsageColumns returns the columns of a usage query's answer.
func UsageColumns(q schema.UsageQuery) []Column {
	columns := []Column{{Name: "time", Kind: Instant}}
	for _, d := range q.GroupBy {
		kind := Text
		if d == schema.DimensionChargeable {
			kind = Flag
		}
		columns = append(columns, Column{Name: string(d), Kind: kind})
	}
	columns = append(columns,
		Column{Name: "quantity", Kind: Quantity},
		Column{Name: "events", Kind: Integer},
		Column{Name: "provider_cost_usd", Kind: Money},
		Column{Name: "billed_cost_usd", Kind: Money},
		Column{Name: "unpriced_events", Kind: Integer})
	if q.Top > 0 {
		columns = append(columns, Column{Name: "other", Kind: Flag, Rare: true})
	}
	return columns
}

// AppendUsage appends a row's value for each of UsageColumns. No agent and no user is an empty
// text; null is what the dimensions of the other row are, and what cannot be known.
func AppendUsage(to []any, q schema.UsageQuery, row schema.UsageRow) []any {
	to = append(to, row.Time)
	for i, d := range q.GroupBy {
		isID := d == schema.DimensionAgent || d == schema.DimensionUser
		switch {
		case row.Other:
			to = append(to, nil)
		case d == schema.DimensionChargeable:
			to = append(to, row.Values[i] == "true")
		case isID && row.Values[i] == uuid.Nil.String():
			to = append(to, "")
		default:
			to = append(to, row.Values[i])
		}
	}
	var quantity, events any
	if row.Counted {
		quantity = row.Quantity
	}
	if row.Events >= 0 {
		events = row.Events
	}
	to = append(to, quantity, events, row.ProviderCost, row.BilledCost, row.Unpriced)
	if q.Top > 0 {
		to = append(to, row.Other)
	}
	return to
}
