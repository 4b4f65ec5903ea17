package server

import (
	"context"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// usageReads implements dialect.Usage.
type usageReads struct{ queries *queries.Queries }

func (u *usageReads) Query(
	ctx context.Context, q schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	return u.queries.Usage(ctx, q, each)
}

func (u *usageReads) Version(ctx context.Context, q schema.UsageQuery) (string, error) {
	return u.queries.UsageVersion(ctx, q)
}

func (u *usageReads) Anomalies(
	ctx context.Context, p schema.AnomaliesParams,
) ([]schema.Anomaly, error) {
	return u.queries.Anomalies(ctx, p)
}
