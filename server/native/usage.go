package native

import (
	"slices"

	"github.com/meterhouse/meterhouse/schema"
)

// usage decodes the usage types into e's measurements, ordered by name, so that an event that is
// sent again has its rows in the same order whatever its encoder did. False when it is no JSON.
func (b *batch) usage(e *schema.Event) bool {
	const field = "usage"
	if b.peek() != '{' {
		b.reject(field, "must be an object of usage types")
		return b.skip(depthMax)
	}
	start := len(b.measurements)
	for first := true; ; first = false {
		name, more := b.member(first)
		if !more {
			break
		}
		usageType, whole := name.value()
		if len(b.measurements)-start == schema.MeasurementsMax {
			b.reject(field, "must have at most 16 usage types")
		}
		if !whole {
			b.reject(field+"."+clip(usageType), "is not a usage type")
		}
		if b.patching && b.removes(start, usageType) {
			if b.fault != "" {
				return false
			}
			continue
		}
		quantity, readable := b.quantity(usageType)
		if !readable {
			return false
		}
		if b.problem == nil && !b.measure(start, usageType, quantity) {
			b.reject(field+"."+clip(usageType), "is given twice")
		}
	}
	if b.fault != "" {
		return false
	}
	end := len(b.measurements)
	if start == end && !b.patching {
		b.reject(field, "must have at least one usage type")
	}
	// Growing the arena leaves earlier events with the array they have: it stays as it is.
	e.Measurements = b.measurements[start:end:end]
	return true
}

// removes reports whether a usage type is null in a merge patch, and notes it.
func (b *batch) removes(start int, usageType string) bool {
	if slices.Contains(b.removed, usageType) {
		b.reject("usage."+clip(usageType), "is given twice")
	}
	if b.peek() != 'n' {
		return false
	}
	b.word("null")
	switch {
	case len(b.removed) == schema.MeasurementsMax:
		b.reject("usage", "must remove at most 16 usage types")
	case slices.ContainsFunc(b.measurements[start:],
		func(m schema.Measurement) bool { return m.UsageType == usageType }):
		b.reject("usage."+clip(usageType), "is given twice")
	default:
		b.removed = append(b.removed, usageType)
	}
	return true
}

// measure inserts a measurement into the sorted ones from start on; false when its usage type is
// among them.
func (b *batch) measure(start int, usageType string, quantity schema.Quantity) bool {
	b.measurements = append(b.measurements, schema.Measurement{})
	own := b.measurements[start:]
	i := len(own) - 1
	for ; i > 0 && own[i-1].UsageType >= usageType; i-- {
		if own[i-1].UsageType == usageType {
			return false
		}
		own[i] = own[i-1]
	}
	own[i] = schema.Measurement{UsageType: usageType, Quantity: quantity}
	return true
}

// quantity decodes a usage type's quantity. Its syntax and sign are the ledger's business. Not
// readable when it is no JSON.
func (b *batch) quantity(usageType string) (q schema.Quantity, readable bool) {
	const prefix, limits = "usage.", " (at most 12 integer digits and 6 decimals)"
	literal, ok, readable := b.decimal(prefix, usageType)
	if !ok {
		return q, readable
	}
	if n, ok := smallInteger(literal); ok {
		return schema.WholeQuantity(n), true
	}
	q, err := schema.ParseQuantity(literal)
	if err != nil {
		b.reject(prefix+clip(usageType), err.Error()+limits)
		return q, true
	}
	n := q.Coefficient()
	if n.Hi < 0 {
		n = n.Neg()
	}
	if n.Hi != 0 || n.Lo >= quantityEnd {
		b.reject(prefix+clip(usageType), "must have at most 12 integer digits")
	}
	return q, true
}

// smallInteger reads what nearly every quantity is, several times faster than any decimal.
func smallInteger(literal string) (int64, bool) {
	const digitsMax = 12
	if len(literal) == 0 || len(literal) > digitsMax || literal[0] == '0' && len(literal) > 1 {
		return 0, false
	}
	var n int64
	for i := range len(literal) {
		c := literal[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}
