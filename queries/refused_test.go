package queries_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// TestTroubleOfTheServerIsNoRefusal: what is refused again and again is set aside when something
// smaller is taken meanwhile, so a server in trouble must not look as if it refused. The engine
// itself says which code has which name. Seen to fail: SERVER_OVERLOADED, CANNOT_ALLOCATE_MEMORY,
// CANNOT_WRITE_TO_FILE and a dozen others were refusals of good events.
func TestTroubleOfTheServerIsNoRefusal(t *testing.T) {
	t.Parallel()
	codes := make(map[string]int32)
	for _, line := range schematest.New(t).Strings(
		"SELECT formatRow('TSV', number, errorCodeToName(number)) FROM numbers(1, 1100)") {
		var code int32
		var name string
		if n, _ := fmt.Sscan(line, &code, &name); n == 2 {
			codes[name] = code
		}
	}
	f := func(refused bool, names string) {
		t.Helper()
		for _, name := range strings.Fields(names) {
			code, ok := codes[name]
			if !ok {
				t.Errorf("the engine knows no %s", name)
			}
			err := fmt.Errorf("insert_events: %w", &clickhouse.Exception{Code: code, Name: name})
			if got := queries.Refused(err); got != refused {
				t.Errorf("%s (%d): refused %v", name, code, got)
			}
		}
	}
	f(false, `MEMORY_LIMIT_EXCEEDED CANNOT_ALLOCATE_MEMORY MEMORY_RESERVATION_FAILED SERVER_OVERLOADED
		TOO_MANY_SIMULTANEOUS_QUERIES TOO_MANY_PARTS CANNOT_SCHEDULE_TASK QUOTA_EXCEEDED`)
	f(false, `NOT_ENOUGH_SPACE CANNOT_WRITE_TO_FILE CANNOT_WRITE_TO_FILE_DESCRIPTOR CANNOT_CREATE_FILE
		CANNOT_CREATE_DIRECTORY CANNOT_OPEN_FILE CANNOT_FSYNC FILE_DOESNT_EXIST CANNOT_STATVFS`)
	f(false, `READONLY TABLE_IS_READ_ONLY TABLE_IS_PERMANENTLY_READ_ONLY UNKNOWN_TABLE TABLE_IS_DROPPED
		AUTHENTICATION_FAILED ACCESS_DENIED USER_EXPIRED USER_SESSION_LIMIT_EXCEEDED`)
	f(false, `TIMEOUT_EXCEEDED QUERY_WAS_CANCELLED SOCKET_TIMEOUT NETWORK_ERROR KEEPER_EXCEPTION
		UNKNOWN_STATUS_OF_INSERT TOO_FEW_LIVE_REPLICAS S3_ERROR AZURE_BLOB_STORAGE_ERROR ABORTED`)
	f(true, `VIOLATED_CONSTRAINT DECIMAL_OVERFLOW NO_SUCH_COLUMN_IN_TABLE TYPE_MISMATCH
		FUNCTION_THROW_IF_VALUE_IS_NON_ZERO ILLEGAL_DIVISION INCORRECT_DATA UNKNOWN_IDENTIFIER`)
}
