package queries

import (
	"context"
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// tablePartitions are the partitions of a table from one id to another.
type tablePartitions struct{ table, first, last string }

var (
	usageVersion        = askUsageVersion("usage_version")
	usageVersionCluster = askUsageVersion("usage_version_cluster")
)

func askUsageVersion(name string) question[[]tablePartitions, string] {
	return ask(name, func(tables []tablePartitions) []any {
		var names, first, last []string
		for _, t := range tables {
			names = append(names, t.table)
			first, last = append(first, t.first), append(last, t.last)
		}
		return []any{texts("tables", names), texts("first", first), texts("last", last)}
	}, func(version *string) []any { return []any{version} })
}

// UsageVersion returns a text that changes whenever the answer to query may have changed: inserts,
// mutations and dropped partitions of the tables it is answered from change it, merges do not. Of
// an answer, one that was taken before it was asked for is to be told. The query is valid; errors
// are those of Usage.
func (q *Queries) UsageVersion(ctx context.Context, query schema.UsageQuery) (string, error) {
	p, err := newUsageParams(query, query.Granularity, planUsage)
	if err != nil || len(p.buckets.runs) == 0 {
		return "", err
	}
	tables := p.partitions()
	if query.Top > 0 {
		ranking, err := newUsageParams(query, schema.Total, planUsage)
		if err != nil {
			return "", err
		}
		tables = append(tables, ranking.partitions()...)
	}
	version, _, err := first(ctx, q.conn, pick(q, usageVersion, usageVersionCluster),
		widest(tables))
	return version, err
}

// partitions returns what the plan reads.
func (p usageParams) partitions() (tables []tablePartitions) {
	for source, spans := range p.plan {
		if len(spans) == 0 {
			continue
		}
		first := time.UnixMicro(spans[0].from).UTC()
		last := time.UnixMicro(spans[len(spans)-1].to - 1).UTC()
		table, format := usageSource(source).table(), "200601"
		if usageSource(source) == fromMonths {
			format = "2006"
		}
		tables = append(tables, tablePartitions{table, first.Format(format), last.Format(format)})
	}
	if p.described() {
		tables = append(tables, tablePartitions{"dimensions", "all", "all"})
	}
	return tables
}

// table returns the name of a source's table.
func (s usageSource) table() string {
	return [usageSources]string{
		"consumption_monthly", "consumption_daily", "billable_hourly", "agent_usage_15m",
		"usage_events",
	}[s]
}

// widest returns each table once, with all partitions it is named with.
func widest(tables []tablePartitions) (each []tablePartitions) {
	for _, t := range tables {
		i := slices.IndexFunc(each, func(e tablePartitions) bool { return e.table == t.table })
		if i < 0 {
			each = append(each, t)
			continue
		}
		each[i].first = min(each[i].first, t.first)
		each[i].last = max(each[i].last, t.last)
	}
	return each
}
