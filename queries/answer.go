package queries

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

var errNotClickHouse = errors.New("no answer of ClickHouse: something between has answered 200 " +
	"without its headers; look at the address and at proxies on the way")

// answers lets pass what ClickHouse answered. A balancer or a proxy that answers 200 by itself
// would otherwise make an insert look done that never was: clickhouse-go reads the status only.
type answers struct{ next http.RoundTripper }

func (a answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK || fromClickHouse(response.Header) {
		return response, err
	}
	return nil, errors.Join(errNotClickHouse, response.Body.Close())
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (a answers) CloseIdleConnections() {
	if c, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// fromClickHouse reports whether there is one of the headers that every ClickHouse sends with every
// answer to a query: its query's id, its name, its time zone, by version.
func fromClickHouse(header http.Header) bool {
	for name := range header {
		if strings.HasPrefix(name, "X-Clickhouse-") {
			return true
		}
	}
	return false
}

// checkAnswers makes connections over HTTP take ClickHouse's answers only.
func checkAnswers(options *clickhouse.Options) {
	given := options.TransportFunc
	options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
		if given == nil {
			return answers{t}, nil
		}
		next, err := given(t)
		return answers{next}, err
	}
}
