package queries

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Anomalies returns hours outside an agent's own rhythm, the newest first, then by score.
func (q *Queries) Anomalies(
	ctx context.Context, p schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	panic("not yet")
}
