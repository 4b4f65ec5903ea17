package tracker

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// params reads what a request says outside its body and collects what is wrong with it.
type params struct {
	problems invalid
}

func (p *params) err() error {
	if len(p.problems) == 0 {
		return nil
	}
	return p.problems
}

func (p *params) uuid(name, value string) uuid.UUID {
	id, reason := parseUUID(value)
	if reason != "" {
		p.problems = append(p.problems, badUUID(at("path", name), echoText(value), reason))
	}
	return id
}

// page reads skip and limit.
func (p *params) page(c *fiber.Ctx) dialect.UsageRecordsParams {
	return dialect.UsageRecordsParams{
		Offset: p.integer(c, "skip", skipDefault, maxInt64),
		Limit:  p.integer(c, "limit", limitDefault, limitMax),
	}
}

func (p *params) integer(c *fiber.Ctx, name string, absent, limit int64) int {
	values := c.Context().QueryArgs().PeekMulti(name)
	if len(values) == 0 {
		return int(absent)
	}
	value := string(values[len(values)-1]) // of a repeated parameter the last counts
	n, f := integerOfText(value)
	if problem, bad := integerProblem(n, f, limit, at("query", name), echoText(value)); bad {
		p.problems = append(p.problems, problem)
		return 0
	}
	return int(n)
}

// idempotencyKey returns a key of the caller's own, empty when the request has none.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	if c.Request().Header.Peek(headerKey) == nil {
		return "", nil
	}
	key := strings.Clone(c.Get(headerKey))
	if p, bad := keyProblem(key); bad {
		return "", invalid{p}
	}
	return key, nil
}

func keyProblem(key string) (problem, bool) {
	loc := at("header", strings.ToLower(headerKey))
	switch {
	case key == "":
		return bounded("string_too_short", loc, echoText(key), 1), true
	case utf8.RuneCountInString(key) > schema.KeyMax:
		return bounded("string_too_long", loc, echoText(key), schema.KeyMax), true
	case !utf8.ValidString(key):
		return simple("string_unicode", loc, nil), true
	case !isPrintable(key):
		return bounded("string_pattern_mismatch", loc, echoText(key), printable), true
	}
	return problem{}, false
}

// parseUUID reads a UUID in the forms pydantic takes: with hyphens, plain or in braces or as a
// URN, and 32 digits without. Otherwise it returns pydantic's reason.
func parseUUID(s string) (uuid.UUID, string) {
	text, offset, plain := s, 0, true
	if rest, ok := strings.CutPrefix(s, "urn:uuid:"); ok {
		text, offset, plain = rest, len("urn:uuid:"), false
	} else if len(s) >= 2 && s[0] == '{' && s[len(s)-1] == '}' {
		text, offset, plain = s[1:len(s)-1], 1, false
	}
	if len(text) == 36 || len(text) == 32 && plain {
		if id, err := uuid.Parse(text); err == nil {
			return id, ""
		}
	}
	return uuid.Nil, uuidReason(s, text, offset, plain)
}

// uuidReason says why text, found in s behind offset bytes, is no UUID.
func uuidReason(s, text string, offset int, plain bool) string {
	lengths := [...]int{8, 4, 4, 4, 12}
	for i, r := range text {
		if r != '-' && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return fmt.Sprintf("invalid character: expected an optional prefix of `urn:uuid:` "+
				"followed by [0-9a-fA-F-], found `%c` at %d", r, i+offset+1)
		}
	}
	groups := strings.Split(text, "-")
	if len(groups) == 1 && plain {
		return fmt.Sprintf("invalid length: expected length 32 for simple format, found %d", len(s))
	}
	if len(groups) != len(lengths) {
		return fmt.Sprintf("invalid group count: expected %d, found %d", len(lengths), len(groups))
	}
	for i, want := range lengths {
		if len(groups[i]) != want {
			return fmt.Sprintf("invalid group length in group %d: expected %d, found %d",
				i, want, len(groups[i]))
		}
	}
	return "invalid format" // not reached: five groups of hexadecimal digits are a UUID
}
