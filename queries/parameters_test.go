package queries_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// TestHostileStringsComeBack pins how clickhouse-go sends text as a parameter, which changed from
// version to version.
func TestHostileStringsComeBack(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	for _, want := range []string{
		"", hostile, `\N`, `\\`, "NULL", "'); DROP TABLE x --", "\xff\xfe", strings.Repeat("ü", 5000),
	} {
		var got string
		var bytes uint64
		row := db.Conn.QueryRow(t.Context(), "SELECT {s:String}, length({s:String})",
			clickhouse.Named("s", want))
		if err := row.Scan(&got, &bytes); err != nil {
			t.Errorf("%q: %v", want, err)
			continue
		}
		if got != want || bytes != uint64(len(want)) {
			t.Errorf("sent %q, got %q of %d bytes", want, got, bytes)
		}
	}
}

func TestQuestionsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.LoadCatalog(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("LoadCatalog with a cancelled context: %v", err)
	}
	err := q.InsertEvents(ctx, "t", batchOf(twoMonths(t)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("InsertEvents with a cancelled context: %v", err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	f := func(config queries.Config, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := queries.Open(ctx, config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	f(queries.Config{}, "neither a DSN nor an address")
	f(queries.Config{DSN: "clickhouse://u:hunter2@%zz"}, "not a DSN")
	f(queries.Config{DSN: "clickhouse://u:hunter2@127.0.0.1:1/x"}, "refused")
	f(queries.Config{Address: "127.0.0.1:1", Password: "hunter2"}, "refused")
}

func TestOpenReachesAnEngineByItsAddress(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	if db.Options.Protocol != clickhouse.HTTP {
		return // a server by its native protocol has a DSN
	}
	q, err := queries.Open(t.Context(), queries.Config{
		Address: db.Options.Addr[0], Password: db.Options.Auth.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	if v, err := q.Version(); err != nil || v == "" {
		t.Errorf("Version = %q, %v", v, err)
	}
}
