package queries

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// anomaliesPast is how long before the hours that are asked for an agent's rhythm is taken from:
// the file names the same eight weeks.
const anomaliesPast = 56 * 24 * time.Hour

var anomalies = ask("anomalies", func(p schema.AnomaliesParams) []any {
	return []any{
		id("organization", p.Organization),
		id("agent", p.Agent),
		second("since", p.From.Add(-anomaliesPast)),
		second("to", p.To),
		number("limit", uint64(max(p.Limit, 0))),
	}
}, func(r *schema.Anomaly) []any {
	return []any{
		&r.Agent, &r.Hour, &r.UsageType, &r.Quantity, &r.Expected, &r.Low, &r.High, &r.Hours,
		&r.Score,
	}
}).with(analystSettings())

// Anomalies returns hours outside an agent's own rhythm, the newest first, then by score. From and
// To are whole hours. It looks at usage of eight weeks before From too.
func (q *Queries) Anomalies(
	ctx context.Context, p schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	if !p.From.Before(p.To) {
		return nil, nil
	}
	return collect(ctx, q.conn, anomalies, p)
}
