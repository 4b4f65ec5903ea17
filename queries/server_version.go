package queries

import "context"

var serverVersion = ask("server_version", bindNone, func(v *string) []any { return []any{v} })

// ServerVersion returns the version of the ClickHouse that answers, as 26.7.2.1.
func (q *Queries) ServerVersion(ctx context.Context) (string, error) {
	v, _, err := first(ctx, q.conn, serverVersion, none{})
	return v, err
}
