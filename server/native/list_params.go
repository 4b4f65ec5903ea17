package native

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// The parameters of a list of events.
const (
	paramAgent        = "agent_id"
	paramUser         = "user_id"
	paramModel        = "model"
	paramService      = "service"
	paramUsageType    = "usage_type"
	paramState        = "state"
	paramFrom         = "from"
	paramTo           = "to"
	paramLimit        = "limit"
	paramCursor       = "cursor"
	paramOrganization = "organization_id"
)

var listParams = []string{
	paramAgent, paramUser, paramModel, paramService, paramUsageType, paramState, paramFrom, paramTo,
	paramLimit, paramCursor, paramOrganization,
}

// Bounds of a list.
const (
	listLimitDefault = 50
	listLimitMax     = 200
	listRangeMax     = 400 * 24 * time.Hour
	stateAll         = "all"
)

// listQuery is the parameters of a list, the request's own.
type listQuery map[string]string

// readList reads the parameters of a request, as dialect.Parameters; none may be empty.
func readList(c *fiber.Ctx) (listQuery, error) {
	q, err := dialect.Parameters(c, listParams...)
	if err != nil {
		return nil, err
	}
	for _, name := range listParams {
		if value, given := q[name]; given && value == "" {
			return nil, schema.Errorf(schema.Unreadable, name, "must not be empty")
		}
	}
	return q, nil
}

// params returns what is asked for. The errors are Unreadable.
func (q listQuery) params(now time.Time) (p dialect.EventsParams, err error) {
	for name, to := range map[string]*uuid.UUID{
		paramAgent: &p.Agent, paramUser: &p.User, paramOrganization: &p.Organization,
	} {
		if text, given := q[name]; given {
			id, ok := parseID(text)
			if !ok || id == uuid.Nil {
				return p, schema.Errorf(schema.Unreadable, name, "must be a UUID")
			}
			*to = id
		}
	}
	for name, to := range map[string]*string{paramModel: &p.Model, paramService: &p.Service} {
		if *to = q[name]; schema.CheckText(name, *to) != nil {
			return p, schema.Errorf(schema.Unreadable, name,
				"must be a text of at most 256 characters, none of them a control character")
		}
	}
	if p.UsageType = q[paramUsageType]; p.UsageType != "" && !schema.UsageTypeValid(p.UsageType) {
		return p, schema.Errorf(schema.Unreadable, paramUsageType, "must be a usage type, as INPUT")
	}
	switch q[paramState] {
	case "", stateCurrent:
	case stateAll:
		p.Voided = true
	default:
		return p, schema.Errorf(schema.Unreadable, paramState, "must be %s or %s",
			stateCurrent, stateAll)
	}
	p.Limit = listLimitDefault
	if text, given := q[paramLimit]; given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > listLimitMax {
			return p, schema.Errorf(schema.Unreadable, paramLimit, "must be 1 to %d", listLimitMax)
		}
		p.Limit = n
	}
	return p, q.span(&p, now)
}

// span reads the range and the place in it.
func (q listQuery) span(p *dialect.EventsParams, now time.Time) (err error) {
	var to time.Time
	if p.From, err = q.instant(paramFrom); err != nil {
		return err
	}
	if to, err = q.instant(paramTo); err != nil {
		return err
	}
	p.Before.Time = to
	if to.IsZero() {
		to = now
	}
	if p.From.IsZero() && !p.Before.Time.IsZero() {
		p.From = to.Add(-dialect.EventsDefault)
	}
	if text, given := q[paramCursor]; given {
		at, ok := parseCursor(text)
		if !ok {
			return schema.Errorf(schema.Unreadable, paramCursor,
				"must be the next_cursor of an answer")
		}
		if _, given := q[paramFrom]; !given {
			p.From = at.from
		}
		if p.Before.Time.IsZero() || at.at.Time.Before(p.Before.Time) {
			p.Before = at.at
		}
	}
	switch {
	case p.From.IsZero():
	case !p.From.Before(to):
		return schema.Errorf(schema.Unreadable, paramTo, "must be after from")
	case to.Sub(p.From) > listRangeMax:
		return schema.Errorf(schema.Unreadable, paramFrom, "must be at most 400 days before to")
	}
	return nil
}

// instant reads a date, which is the start of that UTC day, or an RFC 3339 instant; zero when it is
// absent.
func (q listQuery) instant(name string) (time.Time, error) {
	text, given := q[name]
	if !given {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if ok := err == nil; !ok {
		if at, ok = parseTime(text); !ok {
			hint := ""
			if strings.Contains(text, " ") {
				hint = "; in a URL + is written %2B"
			}
			return at, schema.Errorf(schema.Unreadable, name,
				"must be a date or an RFC 3339 instant%s", hint)
		}
	}
	if at.Before(listEarliest) || !at.Before(listLatest) {
		return at, schema.Errorf(schema.Unreadable, name, "must be in 1971 to 2105")
	}
	return at, nil
}

// The times that the ledger's columns hold, and a little less.
var (
	listEarliest = time.Date(1971, time.January, 1, 0, 0, 0, 0, time.UTC)
	listLatest   = time.Date(2106, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// A cursor says where a list goes on, and where it ends: both of its first page.
type cursor struct {
	from time.Time
	at   dialect.EventPosition
}

const (
	cursorVersion = 1
	cursorBytes   = 1 + 8 + 8 + 16
)

// String is opaque to clients.
func (c cursor) String() string {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(c.from.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.at.Time.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(b, c.at.ID[:]...))
}

// parseCursor reads what String wrote. Whatever it is else, it leads nowhere else: what may be seen
// does not depend on it.
func parseCursor(text string) (c cursor, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion {
		return c, false
	}
	c.from = time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
	c.at.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:]))).UTC()
	c.at.ID = uuid.UUID(b[17:])
	for _, t := range []time.Time{c.from, c.at.Time} {
		if t.Before(listEarliest) || !t.Before(listLatest) {
			return cursor{}, false
		}
	}
	return c, true
}
