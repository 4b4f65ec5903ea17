package native

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// getEvent answers with an event in its current revision.
func (a *api) getEvent(c *fiber.Ctx) error {
	all, err := a.history(c)
	if err != nil {
		return err
	}
	current := all[len(all)-1]
	if current.Voided {
		return schema.Errorf(schema.NotFound, "id", "is voided; its history says when and by whom")
	}
	return writeRevision(c, current)
}

// getHistory answers with every revision of an event, the voided ones too.
func (a *api) getHistory(c *fiber.Ctx) error {
	all, err := a.history(c)
	if err != nil {
		return err
	}
	answer := history{ID: all[0].Event.ID, Revisions: make([]revision, len(all))}
	for i := range all {
		answer.Revisions[i] = revisionOf(all[i])
	}
	return writeJSON(c, http.StatusOK, answer)
}

// history returns the revisions of the path's event that the caller may see, the first one first.
// The newest decides whether the event is the caller's: of one that was somebody else's before,
// what it was then is left out.
func (a *api) history(c *fiber.Ctx) ([]dialect.Revision, error) {
	caller, err := dialect.Authenticate(c, a.door.Access)
	if err != nil {
		return nil, err
	}
	if err := refuseParameters(c); err != nil {
		return nil, err
	}
	for _, id := range idsOf(c.Params("id"), caller.Organization) {
		all, err := a.door.Reader.EventHistory(c.UserContext(), caller.Organization, id)
		switch {
		case schema.KindOf(err) == schema.NotFound:
			continue
		case err != nil:
			return nil, err
		case !maySee(caller, &all[len(all)-1].Event):
			continue
		}
		return slices.DeleteFunc(all, func(r dialect.Revision) bool {
			return !maySee(caller, &r.Event)
		}), nil
	}
	return nil, errUnknown()
}

func errUnknown() error { return schema.Errorf(schema.NotFound, "id", "is unknown") }

// idsOf returns what a path's id can mean, the likelier first: an event's own id, or the client's,
// of which it is derived.
func idsOf(segment string, organization uuid.UUID) []uuid.UUID {
	text, err := url.PathUnescape(segment)
	if err != nil {
		return nil
	}
	var ids []uuid.UUID
	if id, ok := parseID(text); ok {
		ids = append(ids, id)
	}
	if dialect.CheckKey(text) == "" {
		ids = append(ids, schema.EventID(organization, text))
	}
	return ids
}

// maySee reports whether an event of the caller's organization is one to show: to an admin any, to
// a member the member's own, to an agent the agent's.
func maySee(caller access.Caller, e *schema.Event) bool {
	switch {
	case caller.Agent != uuid.Nil:
		return e.Agent == caller.Agent
	case caller.Role >= schema.Admin:
		return true
	}
	return caller.User != uuid.Nil && e.User == caller.User
}

func refuseParameters(c *fiber.Ctx) (err error) {
	c.Context().QueryArgs().VisitAll(func(name, _ []byte) {
		if err == nil {
			err = noParameter(name)
		}
	})
	return err
}

// voidEvent takes an event back: nothing counts in its place.
func (a *api) voidEvent(c *fiber.Ctx) error {
	p, err := a.readCorrection(c)
	if err != nil {
		return err
	}
	_, err = a.correct(c, p, func(schema.Event) (*schema.Event, error) { return nil, nil })
	if err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

// amendEvent changes members of an event, and answers with its new revision.
func (a *api) amendEvent(c *fiber.Ctx) error {
	p, err := a.readCorrection(c)
	if err != nil {
		return err
	}
	if err := checkPatchType(c.Get(fiber.HeaderContentType)); err != nil {
		return err
	}
	body, err := readText(c, p.caller.Organization)
	if err != nil {
		return err
	}
	patch, err := decodePatch(body, a.door.Access.Snapshot(), p.caller.Organization)
	if err != nil {
		return err
	}
	made, err := a.correct(c, p, patch.apply)
	if err != nil {
		return err
	}
	return writeRevision(c, made)
}

// correct corrects the path's event where its revision is one that was asked for.
func (a *api) correct(
	c *fiber.Ctx, p correction, change func(schema.Event) (*schema.Event, error),
) (dialect.Revision, error) {
	for _, id := range idsOf(c.Params("id"), p.caller.Organization) {
		made, err := a.door.Corrector.Correct(c.UserContext(), dialect.CorrectParams{
			Organization: p.caller.Organization,
			Event:        id,
			Actor:        dialect.ActorOf(p.caller),
			Reason:       p.reason,
			Change: func(current schema.Event) (*schema.Event, error) {
				if !p.matches(current.Revision) {
					return nil, schema.Errorf(schema.Stale, fiber.HeaderIfMatch,
						"the event is at revision %d: read it again", current.Revision)
				}
				return change(current)
			},
		})
		if schema.KindOf(err) != schema.NotFound {
			return made, err
		}
	}
	return dialect.Revision{}, schema.Errorf(schema.NotFound, "id", "is unknown, or voided")
}

// writeRevision answers with a revision, and its number as the ETag.
func writeRevision(c *fiber.Ctx, r dialect.Revision) error {
	c.Set(fiber.HeaderETag, etagOf(r.Event.Revision))
	return writeJSON(c, http.StatusOK, revisionOf(r))
}

// readCorrection reads who corrects, why, and under which condition. The errors: Forbidden to all
// but admins, before anything is told of the event, and Unreadable.
func (a *api) readCorrection(c *fiber.Ctx) (correction, error) {
	var p correction
	var err error
	if p.caller, err = dialect.Authenticate(c, a.door.Access); err != nil {
		return p, err
	}
	if p.caller.Role < schema.Admin {
		return p, schema.Errorf(schema.Forbidden, "", "only an admin corrects events")
	}
	if p.reason, err = readReason(c); err != nil {
		return p, err
	}
	p.revisions, err = readIfMatch(c)
	return p, err
}

// correction is what is asked of an event besides the change itself.
type correction struct {
	caller    access.Caller
	reason    string
	revisions []string // ETags that the current revision must be one of; nil: any
}

func (p *correction) matches(revision uint32) bool {
	return p.revisions == nil || slices.Contains(p.revisions, etagOf(revision))
}

// readReason reads the query: the reason for the record, and nothing else.
func readReason(c *fiber.Ctx) (reason string, err error) {
	given := false
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		switch {
		case err != nil:
		case string(name) != "reason":
			err = noParameter(name)
		case given:
			err = schema.Errorf(schema.Unreadable, "reason", "is given twice")
		default:
			reason, given = string(value), true
			err = schema.CheckText("reason", reason)
		}
	})
	if e := (*schema.Error)(nil); errors.As(err, &e) {
		e.Kind = schema.Unreadable // a parameter, as any other
	}
	return reason, err
}
