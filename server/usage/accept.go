package usage

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// formats are what answers are written as; where a client likes several as much, the first.
var formats = []schema.ExportFormat{
	schema.FormatJSON, schema.FormatNDJSON, schema.FormatCSV, schema.FormatParquet,
	schema.FormatArrow,
}

// mediaTypes are what clients call the formats.
var mediaTypes = map[schema.ExportFormat][]string{
	schema.FormatJSON:    {"application/json"},
	schema.FormatNDJSON:  {"application/x-ndjson", "application/ndjson", "application/jsonl"},
	schema.FormatCSV:     {"text/csv"},
	schema.FormatParquet: {"application/vnd.apache.parquet"},
	schema.FormatArrow:   {"application/vnd.apache.arrow.stream"},
}

// format returns what an answer is to be written as: what the parameter says, or the client's
// Accept.
func (p params) format(c *fiber.Ctx) (schema.ExportFormat, error) {
	if text, ok := p.get("format"); ok {
		if f := schema.ExportFormat(text); slices.Contains(formats, f) {
			return f, nil
		}
		return "", schema.Errorf(schema.Unreadable, "format",
			"must be one of json, ndjson, csv, parquet, arrow")
	}
	if f, ok := acceptedFormat(header(c, fiber.HeaderAccept)); ok {
		return f, nil
	}
	return "", schema.Errorf(schema.Unreadable, fiber.HeaderAccept,
		"takes nothing that there is: give format, one of json, ndjson, csv, parquet, arrow")
}

// header returns all values of a header as one, as HTTP says they are the same.
func header(c *fiber.Ctx, name string) string {
	var all []string
	for _, value := range c.Request().Header.PeekAll(name) {
		all = append(all, string(value))
	}
	return strings.Join(all, ",")
}

// acceptedFormat returns the format that an Accept header likes best, and of those it names the one
// that it names most exactly; false when it takes none.
func acceptedFormat(accept string) (best schema.ExportFormat, ok bool) {
	if strings.TrimSpace(accept) == "" {
		return schema.FormatJSON, true
	}
	ranges := qualities(accept)
	var bestQuality, bestExact int
	for _, f := range formats {
		for _, media := range mediaTypes[f] {
			quality, exact := mediaQuality(ranges, media)
			if quality > bestQuality || quality == bestQuality && quality > 0 && exact > bestExact {
				best, ok, bestQuality, bestExact = f, true, quality, exact
			}
		}
	}
	return best, ok
}

// quality is one of the values of an Accept header, and how much it is liked: 0 to 1000.
type quality struct {
	name string // lower case
	of   int
}

// qualities reads an Accept header. What it does not understand it passes over.
func qualities(text string) (all []quality) {
	for one := range strings.SplitSeq(text, ",") {
		name, parameters, _ := strings.Cut(one, ";")
		q := quality{strings.ToLower(strings.TrimSpace(name)), 1000}
		for parameter := range strings.SplitSeq(parameters, ";") {
			key, value, ok := strings.Cut(strings.TrimSpace(parameter), "=")
			if ok && strings.EqualFold(key, "q") {
				q.of = thousandths(value)
			}
		}
		if q.name != "" {
			all = append(all, q)
		}
	}
	return all
}

// thousandths reads a quality, as 0.8; 0 when it is none.
func thousandths(text string) int {
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) > 3 {
		return 0
	}
	n, err := strconv.ParseUint(whole+decimals+"000"[len(decimals):], 10, 16)
	if err != nil || n > 1000 {
		return 0
	}
	return int(n)
}

// mediaQuality returns how much a media type is liked, by the most exact of the ranges that it is
// of, and how exact that is: 3 names it, 2 its kind, 1 everything, 0 there is none.
func mediaQuality(ranges []quality, media string) (of, exact int) {
	kind, _, _ := strings.Cut(media, "/")
	for _, r := range ranges {
		e := 0
		switch r.name {
		case media:
			e = 3
		case kind + "/*":
			e = 2
		case "*/*":
			e = 1
		}
		if e > exact {
			of, exact = r.of, e
		}
	}
	return of, exact
}

// acceptedEncoding returns the encoding that an Accept-Encoding header likes best; of those it
// likes as much, the one that is cheapest.
func acceptedEncoding(accept string) string {
	ranges := qualities(accept)
	of := func(names ...string) int {
		for _, name := range append(names, "*") {
			if i := slices.IndexFunc(ranges, func(q quality) bool { return q.name == name }); i >= 0 {
				return ranges[i].of
			}
		}
		return 0
	}
	best, most := dialect.Identity, 0
	if i := slices.IndexFunc(ranges, func(q quality) bool { return q.name == "identity" }); i >= 0 {
		most = max(ranges[i].of-1, 0) // what is smaller is liked more where both are liked as much
	}
	if q := of(dialect.Zstd); q > most {
		best, most = dialect.Zstd, q
	}
	if q := of(dialect.Gzip, "x-gzip"); q > most {
		best = dialect.Gzip
	}
	return best
}
