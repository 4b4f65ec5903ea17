package schema

import (
	"errors"
	"math/big"
	"math/bits"
)

// Int128 is a signed 128-bit integer in two's complement: the coefficient of a ClickHouse
// Decimal(38, S). The zero value is 0.
type Int128 struct {
	Hi int64
	Lo uint64
}

// Why a literal is no Quantity or USD; each is a sentence fragment about the number.
var (
	ErrSyntax    = errors.New("must be a decimal number")
	ErrPrecision = errors.New("has too many decimals")
	ErrRange     = errors.New("is out of range")
)

// Add returns x + y, wrapping as two's complement does.
func (x Int128) Add(y Int128) Int128 {
	lo, carry := bits.Add64(x.Lo, y.Lo, 0)
	hi, _ := bits.Add64(uint64(x.Hi), uint64(y.Hi), carry)
	return Int128{Hi: int64(hi), Lo: lo}
}

// Neg returns -x.
func (x Int128) Neg() Int128 {
	lo, borrow := bits.Sub64(0, x.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(x.Hi), borrow)
	return Int128{Hi: int64(hi), Lo: lo}
}

// Sign returns -1, 0 or 1.
func (x Int128) Sign() int {
	switch {
	case x.Hi < 0:
		return -1
	case x.Hi == 0 && x.Lo == 0:
		return 0
	}
	return 1
}

// abs returns |x| as two unsigned words.
func (x Int128) abs() (hi, lo uint64) {
	if x.Hi < 0 {
		x = x.Neg()
	}
	return uint64(x.Hi), x.Lo
}

// Big returns x as a big.Int of its own.
func (x Int128) Big() *big.Int {
	hi, lo := x.abs()
	b := new(big.Int).SetUint64(hi)
	b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(lo))
	if x.Hi < 0 {
		b.Neg(b)
	}
	return b
}

// int128FromBig returns b, and false when it does not fit.
func int128FromBig(b *big.Int) (Int128, bool) {
	if b.BitLen() > 127 {
		return Int128{}, false
	}
	abs := new(big.Int).Abs(b)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(^uint64(0))).Uint64()
	hi := new(big.Int).Rsh(abs, 64).Uint64()
	x := Int128{Hi: int64(hi), Lo: lo}
	if b.Sign() < 0 {
		x = x.Neg()
	}
	return x, true
}

// mulAdd10 returns |x|·10 + d for x >= 0, and false when it leaves 127 bits.
func (x Int128) mulAdd10(d uint64) (Int128, bool) {
	carry, lo := bits.Mul64(x.Lo, 10)
	over, hi := bits.Mul64(uint64(x.Hi), 10)
	lo, c := bits.Add64(lo, d, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	if over != 0 || c2 != 0 || hi>>63 != 0 {
		return Int128{}, false
	}
	return Int128{Hi: int64(hi), Lo: lo}, true
}

// literal is a decimal number taken apart: ±digits·10^exp.
type literal struct {
	negative bool
	digits   []byte // without the point; may hold leading and trailing zeros
	exp      int
}

// exponentMax bounds the exponents we read: beyond it a non-zero number fits no column anyway.
const exponentMax = 60

// scan takes a JSON number literal apart; a leading + and a missing integer part are refused,
// as JSON refuses them.
func scan(s string, buf []byte) (literal, error) {
	var l literal
	if s != "" && s[0] == '-' {
		l.negative = true
		s = s[1:]
	}
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 0 || i > 1 && s[0] == '0' {
		return l, ErrSyntax
	}
	l.digits = append(buf[:0], s[:i]...)
	s = s[i:]
	if s != "" && s[0] == '.' {
		i = 1
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if i == 1 {
			return l, ErrSyntax
		}
		l.digits = append(l.digits, s[1:i]...)
		l.exp = -(i - 1)
		s = s[i:]
	}
	if s == "" {
		return l, nil
	}
	exp, err := scanExponent(s)
	l.exp += exp
	return l, err
}

func scanExponent(s string) (int, error) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, ErrSyntax
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if s == "" {
		return 0, ErrSyntax
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, ErrSyntax
		}
		if n < 1_000_000 {
			n = n*10 + int(s[i]-'0')
		}
	}
	return sign * n, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseFixed reads a JSON number literal as an integer count of 10^-scale. It never rounds: a
// non-zero decimal beyond scale is ErrPrecision, an integer part over integerDigits is ErrRange.
func parseFixed(s string, scale, integerDigits int) (Int128, error) {
	var buf [64]byte
	l, err := scan(s, buf[:])
	if err != nil {
		return Int128{}, err
	}
	digits := l.digits
	for len(digits) > 0 && digits[0] == '0' {
		digits = digits[1:]
	}
	exp := l.exp
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exp++
	}
	if len(digits) == 0 {
		return Int128{}, nil
	}
	if len(digits)+exp > integerDigits || exp > exponentMax {
		return Int128{}, ErrRange
	}
	if exp < -scale {
		return Int128{}, ErrPrecision
	}
	var x Int128
	ok := true
	for _, d := range digits {
		if x, ok = x.mulAdd10(uint64(d - '0')); !ok {
			return Int128{}, ErrRange
		}
	}
	for range exp + scale {
		if x, ok = x.mulAdd10(0); !ok {
			return Int128{}, ErrRange
		}
	}
	if l.negative {
		x = x.Neg()
	}
	return x, nil
}

// appendFixed appends x·10^-scale in plain decimal notation without trailing zeros.
func appendFixed(dst []byte, x Int128, scale int) []byte {
	hi, lo := x.abs()
	if x.Hi < 0 {
		dst = append(dst, '-')
	}
	var buf [48]byte
	i := len(buf)
	for n := 0; hi != 0 || lo != 0 || n <= scale; n++ {
		if n == scale && scale > 0 {
			i--
			buf[i] = '.'
		}
		var rem uint64
		hi, rem = hi/10, hi%10
		lo, rem = bits.Div64(rem, lo, 10)
		i--
		buf[i] = '0' + byte(rem)
	}
	out := buf[i:]
	if scale > 0 {
		for out[len(out)-1] == '0' {
			out = out[:len(out)-1]
		}
		if out[len(out)-1] == '.' {
			out = out[:len(out)-1]
		}
	}
	return append(dst, out...)
}
