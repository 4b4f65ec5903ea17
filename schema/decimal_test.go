package schema

import (
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// random128 prefers the ends of the range and small numbers to what lies between.
func random128(r *rand.Rand) Int128 {
	x := Int128{Hi: int64(r.Uint64()), Lo: r.Uint64()}
	switch r.IntN(5) {
	case 0:
		x.Hi = 0
	case 1:
		x.Hi >>= r.IntN(64)
	case 2:
		x = Int128{Lo: r.Uint64N(1000)}
	case 3:
		ends := []Int128{
			{}, {Hi: math.MaxInt64, Lo: math.MaxUint64}, {Hi: math.MinInt64, Lo: 1},
			{Hi: -1, Lo: math.MaxUint64}, {Lo: math.MaxUint64}, {Hi: 1}, {Lo: 1 << 63},
		}
		return ends[r.IntN(len(ends))]
	}
	if r.IntN(2) == 0 {
		x = x.Neg()
	}
	return x
}

// wrap returns b as two's complement of 128 bits does.
func wrap(b *big.Int) *big.Int {
	two128 := new(big.Int).Lsh(big.NewInt(1), 128)
	w := new(big.Int).Mod(b, two128)
	if w.Bit(127) == 1 {
		w.Sub(w, two128)
	}
	return w
}

func TestInt128IsBigInt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		x, y := random128(r), random128(r)
		if got, want := x.Add(y).Big(), wrap(new(big.Int).Add(x.Big(), y.Big())); got.Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v, want %v", x.Big(), y.Big(), got, want)
		}
		if got, want := x.Neg().Big(), wrap(new(big.Int).Neg(x.Big())); got.Cmp(want) != 0 {
			t.Fatalf("-%v = %v", x.Big(), got)
		}
		if x.Sign() != x.Big().Sign() {
			t.Fatalf("Sign(%v) = %d", x.Big(), x.Sign())
		}
		if back, ok := int128FromBig(x.Big()); !ok || back != x {
			t.Fatalf("%v comes back as %v, %v", x, back, ok)
		}
		for _, scale := range []int{QuantityScale, USDScale} {
			got := string(appendFixed(nil, x, scale))
			want := new(big.Rat).SetFrac(x.Big(), pow10(scale))
			if back, ok := new(big.Rat).SetString(got); !ok || back.Cmp(want) != 0 {
				t.Fatalf("%v at scale %d is printed %s", x.Big(), scale, got)
			}
			if !canonical.MatchString(got) {
				t.Fatalf("%v at scale %d is printed %s: not canonical", x.Big(), scale, got)
			}
		}
	}
}

// canonical is a JSON number without an exponent, a trailing zero or a negative zero.
var canonical = regexp.MustCompile(`^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9])$`)

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

func TestInt128FromBigRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	edge := new(big.Int).Lsh(big.NewInt(1), 127)
	f := func(b *big.Int, want bool) {
		t.Helper()
		if _, ok := int128FromBig(b); ok != want {
			t.Errorf("int128FromBig(%v) is %v, want %v", b, ok, want)
		}
	}
	f(edge, false)
	f(new(big.Int).Sub(edge, big.NewInt(1)), true)
	f(new(big.Int).Sub(big.NewInt(1), edge), true)
	f(new(big.Int).Lsh(edge, 64), false)
}

func TestParseQuantity(t *testing.T) {
	t.Parallel()
	ok := func(literal, want string) {
		t.Helper()
		q, err := ParseQuantity(literal)
		if err != nil || q.String() != want {
			t.Errorf("ParseQuantity(%q) = %s, %v, want %s", literal, q, err, want)
		}
	}
	ok("0", "0")
	ok("-0", "0")
	ok("0.000000000000000000000", "0")
	ok("0e999999999999999999999", "0")
	ok("1", "1")
	ok("-1.5", "-1.5")
	ok("0.000001", "0.000001")
	ok("1.100000000000000000000", "1.1")
	ok("1E3", "1000")
	ok("1e+3", "1000")
	ok("1000e-3", "1")
	ok("12345678901234567890e-1", "1234567890123456789")
	ok("9007199254740993", "9007199254740993") // 2^53 + 1
	ok("9223372036854775807", "9223372036854775807")
	ok("9999999999999999999.999999", "9999999999999999999.999999")
	ok("0."+strings.Repeat("0", 100)+"1e101", "1")
	ok("1"+strings.Repeat("0", 100)+"e-100", "1")

	fails := func(literal string, want error) {
		t.Helper()
		if q, err := ParseQuantity(literal); err != want {
			t.Errorf("ParseQuantity(%q) = %s, %v, want %v", literal, q, err, want)
		}
	}
	for _, s := range []string{
		"", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "1 ", " 1", "1_0", "0x1", "NaN",
		"Infinity", "-Infinity", "1.2.3", "1e1.5", "--1", "١", "1,5", "1e5e5", "\x00",
	} {
		fails(s, ErrSyntax)
	}
	fails("0.0000001", ErrPrecision)
	fails("1e-7", ErrPrecision)
	fails("1e-999999999999999999999999", ErrPrecision)
	fails("10000000000000000000", ErrRange)
	fails("-10000000000000000000", ErrRange)
	fails("1e400", ErrRange)
	fails("1e999999999999999999999999", ErrRange)
	fails(strings.Repeat("9", 10_000), ErrRange)
}

func TestParseUSD(t *testing.T) {
	t.Parallel()
	f := func(literal, want string) {
		t.Helper()
		u, err := ParseUSD(literal)
		got := u.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseUSD(%q) = %s, want %s", literal, got, want)
		}
	}
	f("0.000000000001", "0.000000000001")
	f("0.0000000000001", ErrPrecision.Error())
	f("999999999999999.999999999999", "999999999999999.999999999999")
	f("1000000000000000", ErrRange.Error())
	f("-0.0043", "-0.0043")
}

func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "1e3", "0.000001", "9999999999999999999.999999", "1e-7"} {
		f.Add(s)
	}
	json := regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$`)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuantity(s)
		if !json.MatchString(s) {
			return // its exponent may be too long for big.Rat, or it is no number: no panic is all
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("big.Rat does not read %q", s)
		}
		scaled := new(big.Rat).Mul(want, new(big.Rat).SetInt(pow10(QuantityScale)))
		limit := new(big.Rat).SetInt(pow10(quantityIntegerDigits))
		fits := scaled.IsInt() && new(big.Rat).Abs(want).Cmp(limit) < 0
		if (err == nil) != fits {
			t.Fatalf("ParseQuantity(%q): %v, but fits = %v", s, err, fits)
		}
		if err != nil {
			return
		}
		if q.Coefficient().Big().Cmp(scaled.Num()) != 0 {
			t.Fatalf("ParseQuantity(%q) = %s", s, q)
		}
		if back, err := ParseQuantity(q.String()); err != nil || back != q {
			t.Fatalf("%s comes back as %s, %v", q, back, err)
		}
	})
}

// TestCostRoundsHalfToEven compares with exact fractions.
func TestCostRoundsHalfToEven(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	divisor := big.NewInt(perMillion)
	check := func(q, rate Int128) {
		t.Helper()
		got, ok := Cost(QuantityOf(q), USDOf(rate))
		want := halfEven(new(big.Int).Mul(q.Big(), rate.Big()), divisor)
		fits := want.BitLen() <= 127
		if ok != fits {
			t.Fatalf("Cost(%v, %v): ok = %v, want %v", q.Big(), rate.Big(), ok, fits)
		}
		if ok && got.Coefficient().Big().Cmp(want) != 0 {
			t.Fatalf("Cost(%v, %v) = %v, want %v",
				q.Big(), rate.Big(), got.Coefficient().Big(), want)
		}
	}
	for range 20_000 {
		check(random128(r), random128(r))
		check(Int128{Lo: r.Uint64()}, Int128{Lo: r.Uint64N(1 << 40)})
		// Exactly halfway, on either side of zero.
		half := Int128{Lo: perMillion / 2}
		odd := Int128{Lo: r.Uint64N(1<<20)*2 + 1}
		check(half, odd)
		check(half.Neg(), odd)
	}
	// The product's upper word at the bound of the fast path.
	check(Int128{Lo: perMillion - 1}, Int128{Lo: math.MaxUint64})
	check(Int128{Lo: perMillion}, Int128{Lo: math.MaxUint64})
	check(Int128{Lo: perMillion + 1}, Int128{Lo: math.MaxUint64})
	check(Int128{Lo: math.MaxUint64}, Int128{Lo: math.MaxUint64})
}

// halfEven returns n/d rounded half to even.
func halfEven(n, d *big.Int) *big.Int {
	quo, rem := new(big.Int).DivMod(n, d, new(big.Int)) // rounds down
	twice := rem.Lsh(rem, 1)
	if c := twice.Cmp(d); c > 0 || c == 0 && quo.Bit(0) == 1 {
		quo.Add(quo, big.NewInt(1))
	}
	return quo
}

func TestFloor(t *testing.T) {
	t.Parallel()
	f := func(literal string, want int64) {
		t.Helper()
		q, err := ParseQuantity(literal)
		if err != nil || q.Floor() != want {
			t.Errorf("Floor(%s) = %d, %v, want %d", literal, q.Floor(), err, want)
		}
	}
	f("0", 0)
	f("0.999999", 0)
	f("-0.000001", -1)
	f("-1", -1)
	f("-1.5", -2)
	f("9223372036854775807.999999", math.MaxInt64)
	f("9223372036854775808", math.MaxInt64)
	f("-9223372036854775808", math.MinInt64)
	f("-9223372036854775808.1", math.MinInt64)
	r := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		q := QuantityOf(random128(r))
		want := new(big.Int).Div(q.Coefficient().Big(), big.NewInt(1_000_000))
		if want.IsInt64() && q.Floor() != want.Int64() {
			t.Fatalf("Floor(%s) = %d, want %v", q, q.Floor(), want)
		}
	}
}

func TestRoundAndShareRoundHalfToEven(t *testing.T) {
	t.Parallel()
	f := func(literal string, want int64) {
		t.Helper()
		q, err := ParseQuantity(literal)
		if err != nil || q.Round() != want {
			t.Errorf("Round(%s) = %d, %v, want %d", literal, q.Round(), err, want)
		}
	}
	f("0", 0)
	f("0.5", 0)
	f("0.500001", 1)
	f("1.5", 2)
	f("2.5", 2)
	f("-0.5", 0)
	f("-1.5", -2)
	f("-2.500001", -3)
	f("9223372036854775807.499999", math.MaxInt64)
	f("9223372036854775807.5", math.MaxInt64)
	f("-9223372036854775808.5", math.MinInt64)
	f("-9999999999999999999", math.MinInt64)
	r := rand.New(rand.NewPCG(11, 12))
	for range 10_000 {
		n, part, whole := random128(r), int64(r.Uint64()), 1+r.Int64N(1<<uint(1+r.IntN(62)))
		if want := halfEven(n.Big(), big.NewInt(1_000_000)); want.IsInt64() &&
			QuantityOf(n).Round() != want.Int64() {
			t.Fatalf("Round(%s) = %d, want %v", QuantityOf(n), QuantityOf(n).Round(), want)
		}
		want := halfEven(new(big.Int).Mul(n.Big(), big.NewInt(part)), big.NewInt(whole))
		q, ok := QuantityOf(n).Share(part, whole)
		u, same := USDOf(n).Share(part, whole)
		if ok != (want.BitLen() <= 127) || same != ok || q.n != u.n ||
			ok && q.n.Big().Cmp(want) != 0 {
			t.Fatalf("%v × %d / %d = %v, %v, want %v", n.Big(), part, whole, q.n.Big(), ok, want)
		}
		million := new(big.Int).Mul(USDOf(n).n.Big(), big.NewInt(1_000_000))
		micro := new(big.Rat).SetFrac(million, pow10(USDScale))
		if got, ok := new(big.Rat).SetString(USDOf(n).Micro().String()); !ok || got.Cmp(micro) != 0 {
			t.Fatalf("%s USD are %s micro-USD", USDOf(n), USDOf(n).Micro())
		}
	}
}

func TestWholeQuantity(t *testing.T) {
	t.Parallel()
	f := func(n int64) {
		t.Helper()
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(1_000_000))
		if got := WholeQuantity(n); got.Coefficient().Big().Cmp(want) != 0 || got.Floor() != n {
			t.Errorf("WholeQuantity(%d) = %s", n, got)
		}
	}
	for _, n := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1} {
		f(n)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		f(int64(r.Uint64()))
	}
}

// TestDecimalsComeBack goes through the type clickhouse-go reads and writes.
func TestDecimalsComeBack(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for range 10_000 {
		q, u := QuantityOf(random128(r)), USDOf(random128(r))
		if back, ok := QuantityFromDecimal(q.Decimal()); !ok || back != q {
			t.Fatalf("%s comes back as %s, %v", q, back, ok)
		}
		var scanned USD
		if err := scanned.Scan(u.Decimal()); err != nil || scanned != u {
			t.Fatalf("%s comes back as %s, %v", u, scanned, err)
		}
	}
	tooFine := USDOf(Int128{Lo: 1}).Decimal()
	if q, ok := QuantityFromDecimal(tooFine); ok {
		t.Errorf("a decimal too fine for a quantity is taken as %s", q)
	}
	tooLarge := USDOf(Int128{Hi: math.MaxInt64}).Decimal().Shift(6)
	if u, ok := USDFromDecimal(tooLarge); ok {
		t.Errorf("a decimal too large for an amount is taken as %s", u)
	}
	if err := new(Quantity).Scan("1"); err == nil {
		t.Error("a string is scanned as a quantity")
	}
	if err := new(Quantity).Scan(tooFine); err == nil {
		t.Error("a decimal too fine is scanned as a quantity")
	}
}

func TestAddAndNegKeepTheirScale(t *testing.T) {
	t.Parallel()
	a, _ := ParseQuantity("0.1")
	b, _ := ParseQuantity("0.2")
	if got := a.Add(b).String(); got != "0.3" {
		t.Errorf("0.1 + 0.2 = %s", got)
	}
	if got := a.Add(b.Neg()); got.String() != "-0.1" || got.Sign() != -1 {
		t.Errorf("0.1 - 0.2 = %s", got)
	}
	u, _ := ParseUSD("0.000000000001")
	if got := u.Add(u.Neg()); got.Sign() != 0 || got.String() != "0" {
		t.Errorf("u - u = %s", got)
	}
}

func TestRateIDNamesEveryField(t *testing.T) {
	t.Parallel()
	rate := Rate{Model: "m", UsageType: "A", Provider: "p", From: time.Unix(1_700_000_000, 0)}
	seen := map[any]string{}
	f := func(name string, change func(*Rate)) {
		t.Helper()
		r := rate
		change(&r)
		if other, ok := seen[RateID(r)]; ok {
			t.Errorf("a rate with another %s has the id of %s", name, other)
		}
		seen[RateID(r)] = name
	}
	f("nothing", func(*Rate) {})
	f("model", func(r *Rate) { r.Model = "n" })
	f("usage type", func(r *Rate) { r.UsageType = "B" })
	f("provider", func(r *Rate) { r.Provider = "q" })
	f("provider price", func(r *Rate) { r.ProviderUSDPerMillion = USDOf(Int128{Lo: 1}) })
	f("billed price", func(r *Rate) { r.BilledUSDPerMillion = USDOf(Int128{Lo: 1}) })
	f("start", func(r *Rate) { r.From = r.From.Add(time.Microsecond) })
	f("split", func(r *Rate) { r.Model, r.UsageType = "mA", "" })
	same := rate
	same.ID, same.From = EventID(RateID(rate), "x"), rate.From.In(time.FixedZone("x", 3600))
	if RateID(same) != RateID(rate) {
		t.Error("a rate's id depends on its id or its time zone")
	}
}
