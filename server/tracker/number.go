package tracker

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/meterhouse/meterhouse/schema"
)

const maxInt64 = math.MaxInt64

// fault says why something is no integer of ours.
type fault int

const (
	faultNone fault = iota
	faultType
	faultSyntax
	faultFraction
	faultBelow // less than any int64
	faultAbove // more than any int64
)

// integerOf reads a JSON number, which may be written like 346.0 or 3.46e2.
func integerOf(literal string) (int64, fault) {
	q, err := schema.ParseQuantity(literal)
	negative := strings.HasPrefix(literal, "-")
	switch {
	case errors.Is(err, schema.ErrPrecision):
		return 0, faultFraction
	case errors.Is(err, schema.ErrRange) && negative:
		return 0, faultBelow
	case errors.Is(err, schema.ErrRange):
		return 0, faultAbove
	case err != nil:
		return 0, faultSyntax
	}
	n := q.Floor() // at a bound of int64 when q is beyond it
	switch {
	case schema.WholeQuantity(n) == q:
		return n, faultNone
	case n == math.MinInt64:
		return 0, faultBelow
	case n == math.MaxInt64:
		return 0, faultAbove
	}
	return 0, faultFraction
}

// integerOfText reads an integer in a string as pydantic's lax mode does: space around it, a
// sign, leading zeros and zeros after a point are fine.
func integerOfText(s string) (int64, fault) {
	s = strings.TrimSpace(s)
	whole, zeros, ok := strings.Cut(s, ".")
	if ok && zeros != "" && strings.Trim(zeros, "0") == "" {
		s = whole
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err == nil:
		return n, faultNone
	case !errors.Is(err, strconv.ErrRange):
		return 0, faultSyntax
	case strings.HasPrefix(s, "-"):
		return 0, faultBelow
	}
	return 0, faultAbove
}

// integerProblem returns what is wrong with an integer that was read with f and has to be in
// [0, limit]; false when nothing is.
func integerProblem(
	n int64, f fault, limit int64, loc []any, input json.RawMessage,
) (problem, bool) {
	switch {
	case f == faultType:
		return simple("int_type", loc, input), true
	case f == faultSyntax:
		return simple("int_parsing", loc, input), true
	case f == faultFraction:
		return simple("int_from_float", loc, input), true
	case f == faultBelow || n < 0:
		return bounded("greater_than_equal", loc, input, 0), true
	case f == faultAbove || n > limit:
		return bounded("less_than_equal", loc, input, limit), true
	}
	return problem{}, false
}

// decimalLiteral returns a decimal in a string as a JSON number is written, where Python's
// Decimal is laxer: space around it, a plus sign, a point with digits on one side only.
func decimalLiteral(s string) string {
	s = strings.TrimSpace(s)
	sign := ""
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", rest
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	end := strings.IndexAny(s, "eE")
	if end < 0 {
		end = len(s)
	}
	whole, fraction, _ := strings.Cut(s[:end], ".")
	if whole == "" && fraction == "" {
		return sign + s
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction + s[end:]
}

// isNotFinite reports whether s is one of Decimal's names for what is no number.
func isNotFinite(s string) bool {
	s = strings.ToLower(strings.TrimPrefix(s, "-"))
	return s == "inf" || s == "infinity" || s == "nan" || s == "snan"
}

// costOf reads a cost that fits the original's Numeric(10, 4). The checks and their order are
// pydantic's: digits in all, decimals, digits before the point, and then the sign.
func costOf(literal string, loc []any, input json.RawMessage) (schema.USD, problem, bool) {
	cost, err := schema.ParseUSD(literal)
	if errors.Is(err, schema.ErrSyntax) {
		return schema.USD{}, simple("decimal_parsing", loc, input), true
	}
	if err != nil { // more than 15 digits before the point, or more than 12 after it
		return schema.USD{}, bounded("decimal_max_digits", loc, input, costDigits), true
	}
	whole, decimals, _ := strings.Cut(strings.TrimPrefix(cost.String(), "-"), ".")
	whole = strings.TrimPrefix(whole, "0")
	const wholeDigits = costDigits - costDecimals
	switch {
	case len(whole)+len(decimals) > costDigits:
		return schema.USD{}, bounded("decimal_max_digits", loc, input, costDigits), true
	case len(decimals) > costDecimals:
		return schema.USD{}, bounded("decimal_max_places", loc, input, costDecimals), true
	case len(whole) > wholeDigits:
		return schema.USD{}, bounded("decimal_whole_digits", loc, input, wholeDigits), true
	case cost.Sign() < 0:
		return schema.USD{}, bounded("greater_than_equal", loc, input, 0), true
	}
	return cost, problem{}, false
}
