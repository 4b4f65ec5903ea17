package queries

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

//go:embed *.sql
var files embed.FS

// sqlFile returns the text of a file of this package.
func sqlFile(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // a file that is named here and was not embedded: a test finds it
	}
	return string(text)
}

// question is a .sql file with the types on both sides of it.
type question[P, R any] struct {
	name string // of the file, without .sql
	text string
	// bind returns the value of each parameter the file names.
	bind func(P) []any
	// into returns where the columns of a row go, in the file's order.
	into func(*R) []any
	// settings, when not nil, are the question's own.
	settings clickhouse.Settings
}

func ask[P, R any](name string, bind func(P) []any, into func(*R) []any) question[P, R] {
	text := sqlFile(name + ".sql")
	return question[P, R]{
		name: name, text: text, bind: bind, into: into, settings: settingsOf(text),
	}
}

// with returns the question with more settings of its own.
func (q question[P, R]) with(settings clickhouse.Settings) question[P, R] {
	all := maps.Clone(settings)
	for name, value := range q.settings {
		if _, replaced := all[name]; !replaced {
			all[name] = value
		}
	}
	q.settings = all
	return q
}

// none is the parameters of a question without any.
type none struct{}

func bindNone(none) []any { return nil }

// errStop ends a stream early without an error.
var errStop = errors.New("stop")

// stream asks the question and hands each row to each, whose error ends it. It is the only place
// that calls Query, Scan, Close and Err.
func stream[P, R any](
	ctx context.Context, conn driver.Conn, q question[P, R], params P, each func(R) error,
) (err error) {
	if q.settings != nil {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(q.settings))
	}
	if _, own := q.settings["max_execution_time"]; own {
		ctx = ownTime{ctx}
	}
	ctx, span := begin(ctx, q.name)
	count := 0
	defer func() { end(span, count, err) }()
	var rows driver.Rows
	err = whenSettled(ctx, func() (err error) {
		rows, err = conn.Query(ctx, q.text, q.bind(params)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", q.name, brief(err))
	}
	defer func() {
		if e := rows.Close(); e != nil && err == nil {
			err = fmt.Errorf("%s: close: %w", q.name, e)
		}
	}()
	var row, zero R
	into := q.into(&row)
	for rows.Next() {
		row = zero
		count++
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("%s: scan: %w", q.name, err)
		}
		if err := each(row); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", q.name, brief(err))
	}
	return nil
}

// collect asks the question and returns its rows.
func collect[P, R any](
	ctx context.Context, conn driver.Conn, q question[P, R], params P,
) ([]R, error) {
	var all []R
	err := stream(ctx, conn, q, params, func(row R) error {
		all = append(all, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// first asks the question and returns its first row, and false when it has none.
func first[P, R any](
	ctx context.Context, conn driver.Conn, q question[P, R], params P,
) (row R, ok bool, err error) {
	err = stream(ctx, conn, q, params, func(r R) error {
		row, ok = r, true
		return errStop
	})
	return row, ok && err == nil, err
}

// The parameters of our questions, by their ClickHouse type.

func text(name, value string) any { return clickhouse.Named(name, value) }

func id(name string, value uuid.UUID) any { return clickhouse.Named(name, value.String()) }

func number(name string, value uint64) any { return clickhouse.Named(name, value) }

// Times travel as text: their parameters name UTC, and clickhouse-go's epoch numbers are not read
// as a DateTime when they have fewer than ten digits.

// moment is a DateTime64(6, 'UTC').
func moment(name string, value time.Time) any {
	return clickhouse.Named(name, value.UTC().Format("2006-01-02 15:04:05.000000"))
}

// second is a DateTime('UTC').
func second(name string, value time.Time) any {
	return clickhouse.Named(name, value.UTC().Format(time.DateTime))
}

// day is a Date.
func day(name string, value time.Time) any {
	return clickhouse.Named(name, value.UTC().Format(time.DateOnly))
}

// ids is an Array(UUID).
func ids(name string, values []uuid.UUID) any {
	return list(name, values, uuid.UUID.String)
}

// moments is an Array(DateTime64(6, 'UTC')).
func moments(name string, values []time.Time) any {
	return list(name, values, func(t time.Time) string {
		return t.UTC().Format("2006-01-02 15:04:05.000000")
	})
}

// list is an Array of what needs no escaping.
func list[T any](name string, values []T, show func(T) string) any {
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("'" + show(v) + "'")
	}
	b.WriteByte(']')
	return clickhouse.Named(name, b.String())
}
