package otlp

import (
	"github.com/meterhouse/meterhouse/schema"
)

// tokensEnd is the first number of tokens with 13 digits: no call has as many.
const tokensEnd = 1_000_000_000_000

// tokens returns how many tokens a member counts; zero when it is not given. Instrumentations are
// meant to send an integer; some send a double or a string, which is taken when it is an integer
// all the same.
func (f *facts) tokens(m member) (int64, *schema.Error) {
	v := f.values[m]
	switch v.is {
	case absent:
		return 0, nil
	case stringValue, numberValue:
	default:
		return 0, f.wrong(m, "must be an integer")
	}
	q, err := schema.ParseQuantity(v.text)
	switch {
	case err != nil:
		return 0, f.wrong(m, "must be an integer of at most 12 digits")
	case q.Sign() < 0:
		return 0, f.wrong(m, "must not be negative")
	}
	n := q.Floor()
	switch {
	case n >= tokensEnd:
		return 0, f.wrong(m, "must have at most 12 digits")
	case schema.WholeQuantity(n) != q:
		return 0, f.wrong(m, "must be an integer")
	}
	return n, nil
}

// measurements returns what a span used, in classes that share no token, ordered by name. Classes
// of which nothing was used are left out.
func (f *facts) measurements() ([]schema.Measurement, *schema.Error) {
	var counts [usageEnd]int64
	for m := range usageEnd {
		n, err := f.tokens(m)
		if err != nil {
			return nil, err
		}
		counts[m] = n
	}
	input := rest(counts[inputTokens], counts[cachedTokens]+counts[writtenTokens])
	output := rest(counts[outputTokens], counts[reasoningTokens])
	all := make([]schema.Measurement, 0, usageEnd)
	for _, class := range [...]struct {
		usageType string
		tokens    int64
	}{
		{schema.CachedInput, counts[cachedTokens]},
		{schema.CacheWrite, counts[writtenTokens]},
		{schema.Input, input},
		{schema.Output, output},
		{schema.Reasoning, counts[reasoningTokens]},
	} {
		if class.tokens > 0 {
			all = append(all, schema.Measurement{
				UsageType: class.usageType, Quantity: schema.WholeQuantity(class.tokens),
			})
		}
	}
	return all, nil
}

// rest takes the parts out of the whole that the conventions say they are in. Parts that are more
// than the whole were never in it: some instrumentations pass on what a provider counts apart.
func rest(whole, parts int64) int64 {
	if parts > whole {
		return whole
	}
	return whole - parts
}
