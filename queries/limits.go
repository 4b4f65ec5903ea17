package queries

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/schema"
)

// What one question of an analyst may take. It is less than what ours may: see settings.go.
const (
	analystTime    = 30 * time.Second
	analystMemory  = 1 << 30
	analystSpill   = 256 << 20 // of a GROUP BY or a sort, from which on it goes on on disk
	analystRowsMax = 1_000_000
)

// analystSettings returns the settings of a question that can be as heavy as its asker likes:
// bounds, and few threads: with those that run at once, half of eight cores or more.
func analystSettings() clickhouse.Settings {
	return clickhouse.Settings{
		"max_execution_time":                 int(analystTime / time.Second),
		"timeout_overflow_mode":              "throw",
		"max_memory_usage":                   analystMemory,
		"max_bytes_before_external_group_by": analystSpill,
		"max_bytes_before_external_sort":     analystSpill,
		"max_result_rows":                    analystRowsMax,
		"result_overflow_mode":               "throw",
		"max_threads":                        max(1, runtime.GOMAXPROCS(0)/8),
	}
}

// hourSettings returns the settings of a question that only hours answer: they are few, however
// large the organization, so that nobody else waits long for the cores that it takes.
func hourSettings() clickhouse.Settings {
	s := analystSettings()
	s["max_threads"] = min(runtime.GOMAXPROCS(0), 4)
	return s
}

// ownTime hides a deadline from clickhouse-go, which would replace a question's own
// max_execution_time by what is left until then, and five seconds. The context ends as before.
type ownTime struct{ context.Context }

// Deadline implements context.Context.
func (ownTime) Deadline() (time.Time, bool) { return time.Time{}, false }

// Codes of ClickHouse's exceptions that are about what a question takes.
const (
	codeTooManyRows        = 158
	codeTimeoutExceeded    = 159
	codeTooSlow            = 160
	codeTooManyQueries     = 202
	codeMemoryLimit        = 241
	codeTooManyBytes       = 307
	codeQueryCancelled     = 394
	codeTooManyRowsOrBytes = 396
)

const narrow = ": shorten the range, use a coarser granularity, or group by fewer dimensions"

// Narrow returns the *schema.Error of a question that took more than one may, which says what to
// narrow: TooLarge; Overloaded and Unavailable when it was not the question. Any other error is
// returned as it is.
func Narrow(err error) error {
	exception := (*clickhouse.Exception)(nil)
	if !errors.As(err, &exception) {
		return err
	}
	e := &schema.Error{Kind: schema.TooLarge, Cause: err}
	switch exception.Code {
	case codeTimeoutExceeded, codeTooSlow:
		e.Message = "takes longer than a question may" + narrow
	case codeMemoryLimit:
		if !ownMemory(exception.Message) {
			return later(schema.Overloaded, "the database is short of memory", err)
		}
		e.Message = "takes more memory than a question may" + narrow
	case codeTooManyRows, codeTooManyBytes:
		e.Message = "reads more than a question may" + narrow
	case codeTooManyRowsOrBytes:
		e.Message = "has more rows than an answer may" + narrow +
			", ask for the top ones, or for an export"
	case codeTooManyQueries:
		return later(schema.Overloaded, "the database has too many questions at once", err)
	case codeQueryCancelled:
		return later(schema.Unavailable, "the database has broken the question off", err)
	default:
		return err
	}
	return e
}

// ownMemory tells a question that hit its own bound from one that found the server's used up.
func ownMemory(message string) bool {
	return strings.Contains(message, "Query memory limit exceeded") ||
		strings.Contains(message, "(for query)")
}

func later(kind schema.Kind, what string, cause error) error {
	return &schema.Error{
		Kind: kind, Message: what + "; try again", RetryAfter: time.Second, Cause: cause,
	}
}
