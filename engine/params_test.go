package engine

import (
	"math"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// hostile strings have broken one layer or another between a client and an engine.
var hostile = []string{
	"", " ", "plain", "tab\tnewline\ncr\r", `back\slash \n \t \\ \0 \N`, "\x00", "a\x00b",
	`'`, `''`, `"`, "`", "';DROP TABLE x;--", "\xff\xfe\x80", "é 漢字 🙂", "%20+&=?#;",
	"{x:String}", "\x7f\x1b[0m", "ends with \\", "\u2028\u2029", "NULL", `\N`, "[1,2]",
}

func TestNamedStringsSurvive(t *testing.T) {
	conn := open(t)
	for _, s := range hostile {
		got := scalar[string](t, conn, "SELECT {s:String}", clickhouse.Named("s", s))
		if got != s {
			t.Errorf("%q came back as %q", s, got)
		}
		hex := scalar[string](t, conn, "SELECT hex({s:String})", clickhouse.Named("s", s))
		if want := scalar[string](t, conn, "SELECT hex(unhex({h:String}))",
			clickhouse.Named("h", hexOf(s))); hex != want {
			t.Errorf("%q is %s in the engine, want %s", s, hex, want)
		}
	}
	got := scalar[[]string](t, conn, "SELECT {a:Array(String)}", clickhouse.Named("a", hostile))
	if diff := cmp.Diff(hostile, got); diff != "" {
		t.Error(diff)
	}
}

func hexOf(s string) string {
	const digits = "0123456789ABCDEF"
	var b []byte
	for _, c := range []byte(s) {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

func TestNamedValuesOfEveryType(t *testing.T) {
	conn := open(t)
	id := uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	at := time.Date(2026, 3, 29, 1, 30, 0, 123_000_000, time.UTC)
	check := func(want any, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	check(id, scalar[uuid.UUID](t, conn, "SELECT {x:UUID}", clickhouse.Named("x", id)))
	check([]uuid.UUID{id, {}}, scalar[[]uuid.UUID](t, conn, "SELECT {x:Array(UUID)}",
		clickhouse.Named("x", []uuid.UUID{id, {}})))
	check(at, scalar[time.Time](t, conn, "SELECT {x:DateTime64(3, 'UTC')}",
		clickhouse.DateNamed("x", at, clickhouse.MilliSeconds)))
	check(at.Truncate(time.Second), scalar[time.Time](t, conn, "SELECT {x:DateTime('UTC')}",
		clickhouse.DateNamed("x", at, clickhouse.Seconds)))
	check(uint64(math.MaxUint64), scalar[uint64](t, conn, "SELECT {x:UInt64}",
		clickhouse.Named("x", uint64(math.MaxUint64))))
	check(int64(math.MinInt64), scalar[int64](t, conn, "SELECT {x:Int64}",
		clickhouse.Named("x", int64(math.MinInt64))))
	check(-1.5, scalar[float64](t, conn, "SELECT {x:Float64}", clickhouse.Named("x", -1.5)))
	check(true, scalar[bool](t, conn, "SELECT {x:Bool}", clickhouse.Named("x", true)))
	check([]uint32{1, 2, 3}, scalar[[]uint32](t, conn, "SELECT {x:Array(UInt32)}",
		clickhouse.Named("x", []uint32{1, 2, 3})))
	check([]uint32{}, scalar[[]uint32](t, conn, "SELECT {x:Array(UInt32)}",
		clickhouse.Named("x", []uint32{})))
	check((*string)(nil), scalar[*string](t, conn, "SELECT {x:Nullable(String)}",
		clickhouse.Named("x", (*string)(nil))))
	check(map[string]uint64{"a\tb": 1}, scalar[map[string]uint64](t, conn,
		"SELECT {x:Map(String, UInt64)}", clickhouse.Named("x", map[string]uint64{"a\tb": 1})))
	price := decimal.RequireFromString("123456789012345678.123456789012345678")
	if got := scalar[decimal.Decimal](t, conn, "SELECT {x:Decimal(38, 18)}",
		clickhouse.Named("x", price)); !got.Equal(price) {
		t.Errorf("%s came back as %s", price, got)
	}
	check(uint64(1), scalar[uint64](t, conn, "SELECT count() FROM system.{t:Identifier}",
		clickhouse.Named("t", "one")))
}

func TestBatchOfHostileRows(t *testing.T) {
	conn := open(t)
	name := table(t, conn, "(n UInt32, s String, a Array(String), l LowCardinality(String), "+
		"o Nullable(String), d Decimal(38, 18), id UUID, at DateTime64(3, 'UTC'), "+
		"m Map(String, String)) ENGINE = MergeTree ORDER BY n")
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO "+name)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	for i, s := range hostile {
		if err := batch.Append(uint32(i), s, hostile[:i], s, &s, decimal.New(int64(i), -18),
			uuid.UUID{byte(i)}, at, map[string]string{s: s}); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), "SELECT * FROM "+name+" ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	count := 0
	for ; rows.Next(); count++ {
		var (
			n       uint32
			s, l    string
			a       []string
			o       *string
			d       decimal.Decimal
			id      uuid.UUID
			when    time.Time
			mapping map[string]string
		)
		if err := rows.Scan(&n, &s, &a, &l, &o, &d, &id, &when, &mapping); err != nil {
			t.Fatal(err)
		}
		want := hostile[count]
		if s != want || l != want || *o != want || mapping[want] != want || id[0] != byte(count) ||
			len(a) != count || !when.Equal(at) || !d.Equal(decimal.New(int64(count), -18)) {
			t.Errorf("row %d: %q %q %q %v %v %v %v", n, s, l, *o, mapping, id, when, d)
		}
	}
	if err := rows.Err(); err != nil || count != len(hostile) {
		t.Errorf("%d rows, %v", count, err)
	}
}

func TestDatabaseSQL(t *testing.T) {
	db := openSQL(t)
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT {x:Int64}", clickhouse.Named("x", 42)).
		Scan(&n); err != nil || n != 42 {
		t.Fatal(n, err)
	}
	name := "t_" + randomLetters(8)
	for _, sql := range []string{
		"CREATE TABLE " + name + " (a Int64, b String) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO " + name + " VALUES (1, 'x'), (2, 'y')",
	} {
		if _, err := db.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	insert, err := tx.PrepareContext(t.Context(), "INSERT INTO "+name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := insert.Exec(int64(i), "z"); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count() FROM "+name).Scan(&n); err != nil ||
		n != 102 {
		t.Error(n, err)
	}
	_, err = db.ExecContext(t.Context(), "SELECT nope")
	wantCode(t, err, 47)
	if _, err := db.ExecContext(t.Context(), "DROP TABLE "+name); err != nil {
		t.Error(err)
	}
}
