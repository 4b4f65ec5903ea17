package engine

import (
	"errors"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func wantCode(t testing.TB, err error, code int32) {
	t.Helper()
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		t.Errorf("%v (%T), want an exception of code %d", err, err, code)
		return
	}
	if e.Code != code {
		t.Errorf("code %d, want %d: %v", e.Code, code, err)
	}
}

func TestExceptionsAreTyped(t *testing.T) {
	conn := open(t)
	for sql, code := range map[string]int32{
		"SELECT * FROM no_such_table": 60,
		"SELEC 1":                     62,
		"SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 10000000": 241,
		"SELECT count() FROM numbers(1000000000000) SETTINGS max_execution_time = 0.1":           159,
		"SELECT 1; SELECT 2":                     62,
		"CREATE TABLE x (a UInt8); DROP TABLE x": 62,
		"INSERT INTO no_such_table VALUES (1)":   60,
		"SELECT 1 INTO OUTFILE '/tmp/x'":         78,
		"SELECT {x:UInt8}":                       456,
	} {
		t.Run(sql, func(t *testing.T) {
			wantCode(t, conn.Exec(t.Context(), sql), code)
		})
	}
}
