package schema

import (
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"
)

// Scales of the two decimal kinds of the ledger: digits after the point.
const (
	QuantityScale = 6
	USDScale      = 12
)

// quantityIntegerDigits holds every int64; usdIntegerDigits a quadrillion dollars. Both leave a
// Decimal(38) room for the sum of more rows than a table can hold.
const (
	quantityIntegerDigits = 19
	usdIntegerDigits      = 15
)

// Quantity is an amount of a usage type in that type's unit (tokens, seconds, calls), exact to
// six decimals: Decimal(38, 6).
type Quantity struct{ n Int128 }

// USD is an amount of money in US dollars, exact to twelve decimals: Decimal(38, 12).
type USD struct{ n Int128 }

// ParseQuantity reads a JSON number literal. It never rounds. The error is a sentence fragment.
func ParseQuantity(s string) (Quantity, error) {
	n, err := parseFixed(s, QuantityScale, quantityIntegerDigits)
	return Quantity{n}, err
}

// ParseUSD reads a JSON number literal. It never rounds. The error is a sentence fragment.
func ParseUSD(s string) (USD, error) {
	n, err := parseFixed(s, USDScale, usdIntegerDigits)
	return USD{n}, err
}

// WholeQuantity returns n units.
func WholeQuantity(n int64) Quantity {
	neg := n < 0
	abs := uint64(n)
	if neg {
		abs = -abs
	}
	hi, lo := bits.Mul64(abs, 1_000_000)
	x := Int128{Hi: int64(hi), Lo: lo}
	if neg {
		x = x.Neg()
	}
	return Quantity{x}
}

// QuantityOf returns the quantity with this coefficient in units of 10^-6.
func QuantityOf(n Int128) Quantity { return Quantity{n} }

// USDOf returns the amount with this coefficient in units of 10^-12 dollars.
func USDOf(n Int128) USD { return USD{n} }

// Coefficient returns the quantity in units of 10^-6.
func (q Quantity) Coefficient() Int128 { return q.n }

// Coefficient returns the amount in units of 10^-12 dollars.
func (u USD) Coefficient() Int128 { return u.n }

// Sign returns -1, 0 or 1.
func (q Quantity) Sign() int { return q.n.Sign() }

// Sign returns -1, 0 or 1.
func (u USD) Sign() int { return u.n.Sign() }

// Neg returns -q.
func (q Quantity) Neg() Quantity { return Quantity{q.n.Neg()} }

// Neg returns -u.
func (u USD) Neg() USD { return USD{u.n.Neg()} }

// Add returns q + r.
func (q Quantity) Add(r Quantity) Quantity { return Quantity{q.n.Add(r.n)} }

// Add returns u + v.
func (u USD) Add(v USD) USD { return USD{u.n.Add(v.n)} }

// String returns plain decimal notation without trailing zeros: a JSON number.
func (q Quantity) String() string { return string(q.Append(nil)) }

// String returns plain decimal notation without trailing zeros: a JSON number.
func (u USD) String() string { return string(u.Append(nil)) }

// Append appends what String returns.
func (q Quantity) Append(dst []byte) []byte { return appendFixed(dst, q.n, QuantityScale) }

// Append appends what String returns.
func (u USD) Append(dst []byte) []byte { return appendFixed(dst, u.n, USDScale) }

// Floor returns the whole units in q, rounded down, clamped to int64.
func (q Quantity) Floor() int64 {
	// Euclidean division rounds down for a positive divisor.
	n := new(big.Int).Div(q.n.Big(), big.NewInt(1_000_000))
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return -1 << 63
	}
	return 1<<63 - 1
}

// Round returns q in whole units, rounded half to even, clamped to int64.
func (q Quantity) Round() int64 {
	n := quoHalfEven(q.n.Big(), big.NewInt(1_000_000))
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return -1 << 63
	}
	return 1<<63 - 1
}

// Micro returns u in micro-USD. It is exact: both count in the same steps.
func (u USD) Micro() Quantity { return Quantity(u) }

// Share returns q × part / whole, rounded half to even at the last decimal; false when it is out
// of range. whole must be over 0.
func (q Quantity) Share(part, whole int64) (Quantity, bool) {
	n, ok := share(q.n, part, whole)
	return Quantity{n}, ok
}

// Share returns u × part / whole, as Quantity's does.
func (u USD) Share(part, whole int64) (USD, bool) {
	n, ok := share(u.n, part, whole)
	return USD{n}, ok
}

func share(n Int128, part, whole int64) (Int128, bool) {
	product := new(big.Int).Mul(n.Big(), big.NewInt(part))
	return int128FromBig(quoHalfEven(product, big.NewInt(whole)))
}

// Decimal returns q as the type clickhouse-go binds to a Decimal column.
func (q Quantity) Decimal() decimal.Decimal { return toDecimal(q.n, QuantityScale) }

// Decimal returns u as the type clickhouse-go binds to a Decimal column.
func (u USD) Decimal() decimal.Decimal { return toDecimal(u.n, USDScale) }

func toDecimal(n Int128, scale int32) decimal.Decimal {
	if n.Hi == 0 && n.Lo < 1<<63 {
		return decimal.New(int64(n.Lo), -scale)
	}
	return decimal.NewFromBigInt(n.Big(), -scale)
}

// QuantityFromDecimal takes a value read from a Decimal(38, 6) column; false when it does not fit.
func QuantityFromDecimal(d decimal.Decimal) (Quantity, bool) {
	n, ok := fromDecimal(d, QuantityScale)
	return Quantity{n}, ok
}

// USDFromDecimal takes a value read from a Decimal(38, 12) column; false when it does not fit.
func USDFromDecimal(d decimal.Decimal) (USD, bool) {
	n, ok := fromDecimal(d, USDScale)
	return USD{n}, ok
}

func fromDecimal(d decimal.Decimal, scale int32) (Int128, bool) {
	shifted := d.Shift(scale)
	if !shifted.IsInteger() {
		return Int128{}, false
	}
	return int128FromBig(shifted.BigInt())
}

// perMillion is the divisor of Cost: a rate is dollars per million units, a quantity's coefficient
// counts millionths.
const perMillion = 1_000_000_000_000

// Cost returns quantity × ratePerMillion / 1,000,000, rounded half to even at the twelfth decimal;
// false when the result leaves the range of USD.
func Cost(quantity Quantity, ratePerMillion USD) (USD, bool) {
	q, r := quantity.n, ratePerMillion.n
	if q.Hi == 0 && r.Hi == 0 {
		hi, lo := bits.Mul64(q.Lo, r.Lo)
		if hi < perMillion {
			quo, rem := bits.Div64(hi, lo, perMillion)
			if rem > perMillion/2 || rem == perMillion/2 && quo&1 == 1 {
				quo++ // quo < 2^64-1: hi:lo / 10^12 leaves room unless hi is at its bound
				if quo == 0 {
					return USD{Int128{Hi: 1}}, true
				}
			}
			return USD{Int128{Lo: quo}}, true
		}
	}
	return costBig(q.Big(), r.Big())
}

func costBig(q, r *big.Int) (USD, bool) {
	product := new(big.Int).Mul(q, r)
	n, ok := int128FromBig(quoHalfEven(product, big.NewInt(perMillion)))
	return USD{n}, ok
}

// quoHalfEven returns n / divisor, rounded half to even; divisor is over 0. It changes n.
func quoHalfEven(n, divisor *big.Int) *big.Int {
	negative := n.Sign() < 0
	n.Abs(n)
	quo, rem := new(big.Int).QuoRem(n, divisor, new(big.Int))
	switch rem.Lsh(rem, 1).Cmp(divisor) {
	case 1:
		quo.Add(quo, big.NewInt(1))
	case 0:
		quo.Add(quo, big.NewInt(int64(quo.Bit(0))))
	}
	if negative {
		quo.Neg(quo)
	}
	return quo
}
