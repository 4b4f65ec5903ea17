package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// params are what a request asks for by name, the request's own: from its query, or from its body
// as the members of a JSON object. What may be a list has each of its values.
type params map[string][]string

const (
	filterPrefix = "filter."
	together     = "filter" // in JSON, the filters in an object of their own
)

// isFilter reports whether a parameter is a filter of a dimension.
func isFilter(name string) bool {
	dimension, ok := strings.CutPrefix(name, filterPrefix)
	return ok && slices.Contains(schema.Dimensions(), schema.Dimension(dimension))
}

// isKnown reports whether a parameter is one of those known, which have filterPrefix for all of the
// filters.
func isKnown(name string, known []string) bool {
	if isFilter(name) {
		name = filterPrefix
	} else if name == filterPrefix {
		return false
	}
	return slices.Contains(known, name)
}

// readParams reads the parameters of a URL: those that are known, each once, but a filter as often
// as it has values. What is not known is refused: a filter that is passed over would show what
// was not asked for.
func readParams(c *fiber.Ctx, known ...string) (params, error) {
	p := make(params)
	var err error
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		n := string(name)
		if err != nil {
			return
		}
		if _, twice := p[n]; twice && !isFilter(n) {
			err = schema.Errorf(schema.Unreadable, dialect.Clip(n), "is given twice")
		} else if !isKnown(n, known) {
			err = unknown(n)
		}
		p[n] = append(p[n], string(value))
	})
	return p, err
}

func unknown(name string) *schema.Error {
	return schema.Errorf(schema.Unreadable, dialect.Clip(name), "is not a parameter")
}

// parseParams reads the parameters of a JSON object: see params.member.
func parseParams(body []byte, known ...string) (params, error) {
	if !utf8.Valid(body) {
		return nil, schema.Errorf(schema.Unreadable, "", "the body must be valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	p := make(params)
	if err := object(d, func(name string) error { return p.member(d, name, known) }); err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, notJSON(errSyntax)
	}
	delete(p, together)
	return p, nil
}

var errSyntax = errors.New("not an object")

// notJSON returns an error of ours as it is, and any other as one of the body's syntax.
func notJSON(err error) error {
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		return e
	}
	return schema.Errorf(schema.Unreadable, "", "the body must be one JSON object")
}

// object reads an object whose members' values are read by member.
func object(d *json.Decoder, member func(name string) error) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return errSyntax
	}
	return members(d, member)
}

// members reads what is left of an object.
func members(d *json.Decoder, member func(name string) error) error {
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return errSyntax
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// member reads the value of a member: a text, number or boolean; for what may be a list also an
// array of them. The filters may also be together in a member "filter" without their prefix.
func (p params) member(d *json.Decoder, name string, known []string) error {
	if _, twice := p[name]; twice {
		return schema.Errorf(schema.Unreadable, dialect.Clip(name), "is given twice")
	}
	if name == together {
		p[name] = nil
		err := object(d, func(dimension string) error {
			return p.member(d, filterPrefix+dimension, []string{filterPrefix})
		})
		if errors.Is(err, errSyntax) {
			return schema.Errorf(schema.Unreadable, name, "must be an object: values by dimension")
		}
		return err
	}
	if !isKnown(name, known) {
		return unknown(name)
	}
	values, err := values(d, name)
	p[name] = values
	return err
}

// values reads one value or, for what may be a list, an array of them.
func values(d *json.Decoder, name string) ([]string, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if text, ok := scalar(token); ok {
		return []string{text}, nil
	}
	many := isFilter(name) || name == "group_by"
	if token != json.Delim('[') || !many {
		return nil, notScalar(name, many)
	}
	all := []string{}
	for d.More() {
		if token, err = d.Token(); err != nil {
			return nil, err
		}
		text, ok := scalar(token)
		if !ok {
			return nil, notScalar(name, many)
		}
		all = append(all, text)
	}
	_, err = d.Token()
	return all, err
}

func scalar(token json.Token) (string, bool) {
	switch v := token.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

func notScalar(name string, many bool) error {
	if many {
		return schema.Errorf(schema.Unreadable, name, "must be a text, or an array of texts")
	}
	return schema.Errorf(schema.Unreadable, name, "must be one value")
}
