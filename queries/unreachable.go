package queries

import (
	"context"
	"errors"
	"net/url"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Unreachable reports whether an error says that ClickHouse could not be asked, rather than what
// it answered: it is down, restarting, or the network between is.
func Unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	exception := (*clickhouse.Exception)(nil)
	return !errors.As(err, &exception)
}

// brief takes the address of a failed HTTP request out of an error: it holds every setting, which
// is a page of text.
func brief(err error) error {
	if request := (*url.Error)(nil); errors.As(err, &request) {
		return request.Err
	}
	return err
}
