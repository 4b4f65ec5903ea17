package exports

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

// eventColumns are those of queries/export_events.sql, which docs/exports.md describes.
var eventColumns = []tabular.Column{
	{Name: "event_id", Kind: tabular.Text},
	{Name: "revision", Kind: tabular.Integer},
	{Name: "entry", Kind: tabular.Text},
	{Name: "time", Kind: tabular.Instant},
	{Name: "recorded_at", Kind: tabular.Instant},
	{Name: "agent_id", Kind: tabular.Text},
	{Name: "user_id", Kind: tabular.Text},
	{Name: "service", Kind: tabular.Text},
	{Name: "channel", Kind: tabular.Text},
	{Name: "api_name", Kind: tabular.Text},
	{Name: "endpoint", Kind: tabular.Text},
	{Name: "provider", Kind: tabular.Text},
	{Name: "provider_endpoint", Kind: tabular.Text},
	{Name: "provider_key", Kind: tabular.Text},
	{Name: "model", Kind: tabular.Text},
	{Name: "chargeable", Kind: tabular.Flag},
	{Name: "purpose", Kind: tabular.Text},
	{Name: "usage_type", Kind: tabular.Text},
	{Name: "quantity", Kind: tabular.Quantity},
	{Name: "provider_cost_usd", Kind: tabular.Money},
	{Name: "billed_cost_usd", Kind: tabular.Money},
	{Name: "pricing", Kind: tabular.Text},
	{Name: "rate_id", Kind: tabular.Text},
}

func eventValues(dst []any, e *queries.ExportEvent) []any {
	return append(dst,
		e.Event, int64(e.Revision), e.Entry, e.Time.UTC(), e.RecordedAt.UTC(),
		orNull(e.Agent), orNull(e.User), e.Service, e.Channel, e.APIName, e.Endpoint,
		e.Provider, e.ProviderEndpoint, e.ProviderKey, e.Model, e.Chargeable, e.Purpose,
		e.UsageType, e.Quantity, e.ProviderCost, e.BilledCost, e.Pricing, orNull(e.Rate))
}

func orNull(text *string) any {
	if text == nil {
		return nil
	}
	return *text
}

// usageColumns are those of a query's answer.
func usageColumns(q schema.UsageQuery) []tabular.Column {
	columns := []tabular.Column{{Name: "time", Kind: tabular.Instant}}
	for _, d := range q.GroupBy {
		kind := tabular.Text
		if d == schema.DimensionChargeable {
			kind = tabular.Flag
		}
		columns = append(columns, tabular.Column{Name: string(d), Kind: kind})
	}
	columns = append(columns,
		tabular.Column{Name: "quantity", Kind: tabular.Quantity},
		tabular.Column{Name: "events", Kind: tabular.Integer},
		tabular.Column{Name: "provider_cost_usd", Kind: tabular.Money},
		tabular.Column{Name: "billed_cost_usd", Kind: tabular.Money},
		tabular.Column{Name: "unpriced_events", Kind: tabular.Integer})
	if q.Top > 0 {
		columns = append(columns, tabular.Column{Name: "other", Kind: tabular.Flag, Rare: true})
	}
	return columns
}

func usageValues(dst []any, q schema.UsageQuery, r *schema.UsageRow) []any {
	dst = append(dst, r.Time)
	for i, d := range q.GroupBy {
		dst = append(dst, dimensionValue(d, r, i))
	}
	var quantity, events any
	if r.Counted {
		quantity = r.Quantity
	}
	if r.Events >= 0 {
		events = r.Events
	}
	dst = append(dst, quantity, events, r.ProviderCost, r.BilledCost, r.Unpriced)
	if q.Top > 0 {
		dst = append(dst, r.Other)
	}
	return dst
}

// dimensionValue returns null for the row of the others, and for an id that is none.
func dimensionValue(d schema.Dimension, r *schema.UsageRow, i int) any {
	switch value := r.Values[i]; {
	case r.Other:
		return nil
	case d == schema.DimensionChargeable:
		return value == "true"
	case (d == schema.DimensionAgent || d == schema.DimensionUser) && value == noID:
		return nil
	default:
		return value
	}
}

var noID = uuid.Nil.String()
