package exports

import (
	"github.com/meterhouse/meterhouse/queries"
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
