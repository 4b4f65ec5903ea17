package native

import (
	"net/url"
	"strings"
	"unsafe"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// request is what a client asks of POST /v1/events.
type request struct {
	body     string // of its own: outlives the handler
	form     form
	options  options
	eventKey string
	envelope *envelope // where form is asBinaryCloudEvent
}

// options are the query of POST /v1/events.
type options struct {
	atomic  bool // one rejected event, and nothing is accepted
	stored  bool // answer once ClickHouse has the events
	results bool // tell what became of each event
}

func readRequest(c *fiber.Ctx, organization uuid.UUID) (request, error) {
	var r request
	var err error
	if r.options, err = readOptions(c); err != nil {
		return r, err
	}
	if r.form, err = readForm(c.Get(fiber.HeaderContentType)); err != nil {
		return r, err
	}
	if r.form == asJSON && isBinaryCloudEvent(c) {
		r.form, r.envelope = asBinaryCloudEvent, readEnvelope(c)
	}
	if r.eventKey, err = dialect.IdempotencyKey(c); err != nil {
		return r, err
	}
	r.body, err = readText(c, organization)
	return r, err
}

// readText reads the body. The bytes are ours and nobody writes them again, so that what is decoded
// of them may be parts of them.
func readText(c *fiber.Ctx, organization uuid.UUID) (string, error) {
	body, err := dialect.ReadBody(c, organization)
	return unsafe.String(unsafe.SliceData(body), len(body)), err
}

// readOptions reads the query. A parameter that does not exist is refused: a misspelt atomic that
// is passed over would half-accept what must not be.
func readOptions(c *fiber.Ctx) (o options, err error) {
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		var option *bool
		only := "true"
		switch string(name) {
		case "atomic":
			option = &o.atomic
		case "results":
			option = &o.results
		case "wait":
			option, only = &o.stored, "stored"
		}
		switch {
		case err != nil:
		case option == nil:
			err = noParameter(name)
		case string(value) != only:
			err = schema.Errorf(schema.Unreadable, string(name), "must be %s or absent", only)
		default:
			*option = true
		}
	})
	return o, err
}

func noParameter(name []byte) error {
	return schema.Errorf(schema.Unreadable, clip(string(name)), "is not a parameter")
}

// readForm returns what a media type says of a body; without one it is JSON.
func readForm(header string) (form, error) {
	mediaType, _, _ := strings.Cut(header, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", mimeJSON:
		return asJSON, nil
	case mimeNDJSON, mimeJSONL:
		return asLines, nil
	case mimeCloudEvent:
		return asCloudEvent, nil
	case mimeCloudEvents:
		return asCloudEvents, nil
	}
	return 0, schema.Errorf(schema.Unsupported, fiber.HeaderContentType, "must be %s, %s, %s or %s",
		mimeJSON, mimeNDJSON, mimeCloudEvent, mimeCloudEvents)
}

// isBinaryCloudEvent reports whether the headers say anything of a CloudEvent. One that lacks a
// part is one all the same: read as a plain event it would have no key.
func isBinaryCloudEvent(c *fiber.Ctx) bool {
	h := &c.Request().Header
	return len(h.Peek("Ce-Id")) > 0 || len(h.Peek("Ce-Specversion")) > 0
}

// readEnvelope reads a CloudEvent's attributes from the headers: percent-encoded, as its HTTP
// binding has it. A header that is there twice, or whose encoding is none, has no value.
func readEnvelope(c *fiber.Ctx) *envelope {
	v := &envelope{given: attributeData}
	for _, a := range []struct {
		bit    attribute
		header string
	}{
		{attributeSpecVersion, "Ce-Specversion"}, {attributeType, "Ce-Type"}, {attributeID, "Ce-Id"},
		{attributeSource, "Ce-Source"}, {attributeTime, "Ce-Time"},
	} {
		values := c.Request().Header.PeekAll(a.header)
		if len(values) == 0 {
			continue
		}
		v.given |= a.bit
		if text, err := url.PathUnescape(string(values[0])); err == nil && len(values) == 1 {
			*v.field(a.bit) = text
		}
	}
	return v
}

// readIfMatch returns the entity tags of If-Match; nil when any revision will do.
func readIfMatch(c *fiber.Ctx) ([]string, error) {
	var tags []string
	for _, header := range c.Request().Header.PeekAll(fiber.HeaderIfMatch) {
		rest := strings.TrimSpace(string(header))
		if rest == "*" {
			return nil, nil
		}
		for more := true; more; {
			var tag string
			tag, rest, more = strings.Cut(rest, ",")
			tag = strings.TrimSpace(tag)
			if !isEntityTag(tag) {
				return nil, schema.Errorf(schema.Unreadable, fiber.HeaderIfMatch,
					`must be an ETag as GET gives it, "0" for example`)
			}
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// isEntityTag reports whether s is one of RFC 9110, as far as those without a comma go. A weak one
// matches nothing, and neither does one that is no revision.
func isEntityTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	return len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && !strings.Contains(s[1:len(s)-1], `"`)
}

// checkPatchType refuses a body that is no merge patch.
func checkPatchType(header string) error {
	mediaType, _, _ := strings.Cut(header, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", mimeJSON, mimeMergePatch:
		return nil
	}
	return schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
		"must be %s or %s", mimeMergePatch, mimeJSON)
}
