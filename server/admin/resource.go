package admin

import (
	"encoding/json"
	"iter"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// resource is one kind of thing of the catalog: what is particular about it. The handlers below do
// the rest, the same for every kind.
type resource[T any] struct {
	path string   // below /v1/admin/
	key  []string // the segments that name one

	each  func(*access.Snapshot) iter.Seq[T]
	find  func(s *access.Snapshot, key []string) (T, bool)
	thing func(T) access.Thing
	id    func(T) string    // what lists are ordered by, and the thing's id
	of    func(T) uuid.UUID // its organization; nil: it has none

	see, edit schema.Role // the lowest that may ask for any, and change any
	visible   func(view, T) bool

	create func(view, *object) (outcome, error)
	change func(view, T, *object) (outcome, error)
	retire func(view, T) (access.Change, error)
}

// outcome is what becomes of a request: a change, and the thing it makes.
type outcome struct {
	change access.Change
	thing  access.Thing
	secret string // of a credential that was made; empty: nothing to tell
}

func mount[T any](d *api, r fiber.Router, of resource[T]) {
	base := prefix + of.path
	one := base + "/:" + strings.Join(of.key, "/:")
	r.Add(fiber.MethodGet, base, handler(d, of.list))
	r.Add(fiber.MethodPost, base, handler(d, of.post))
	r.Add(fiber.MethodGet, one, handler(d, of.get))
	r.Add(fiber.MethodPatch, one, handler(d, of.patch))
	r.Add(fiber.MethodDelete, one, handler(d, of.delete))
}

func handler(d *api, h func(*api, *fiber.Ctx) error) fiber.Handler {
	return func(c *fiber.Ctx) error { return h(d, c) }
}

// list answers with the things that the caller may see, ordered by id.
func (r resource[T]) list(d *api, c *fiber.Ctx) error {
	v, err := d.view(c, r.see)
	if err != nil {
		return err
	}
	known := []string{"limit", "cursor"}
	if r.of != nil {
		known = append(known, "organization_id")
	}
	q, err := readQuery(c, known...)
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	after, err := q.cursor()
	if err != nil {
		return err
	}
	organization, err := v.filter(q)
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, r.pageOf(v, organization, after, limit))
}

func (r resource[T]) pageOf(v view, organization uuid.UUID, after string, limit int) page {
	type entry struct {
		id    string
		value T
	}
	var all []entry
	for value := range r.each(v.Snapshot) {
		if organization != uuid.Nil && r.of(value) != organization || !r.visible(v, value) {
			continue
		}
		if id := r.id(value); id > after {
			all = append(all, entry{id, value})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.id, b.id) })
	p := page{Items: []json.RawMessage{}}
	if len(all) > limit {
		all = all[:limit]
		p.NextCursor = cursorAt(all[limit-1].id)
	}
	for _, e := range all {
		p.Items = append(p.Items, json.RawMessage(r.thing(e.value).Document))
	}
	return p
}

func (r resource[T]) get(d *api, c *fiber.Ctx) error {
	v, err := d.view(c, r.see)
	if err != nil {
		return err
	}
	if _, err := readQuery(c); err != nil {
		return err
	}
	value, err := r.known(v, r.keyOf(c))
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, json.RawMessage(r.thing(value).Document))
}

func (r resource[T]) post(d *api, c *fiber.Ctx) error {
	var made outcome
	err := r.plan(d, c, readObject, func(v view, o *object) (access.Change, error) {
		if err := v.atLeast(r.edit); err != nil {
			return access.Change{}, err
		}
		var err error
		made, err = r.create(v, o)
		return made.change, err
	})
	if err != nil {
		return err
	}
	document := json.RawMessage(made.thing.Document)
	if made.secret != "" {
		document = withSecret(made.thing.Document, made.secret)
	}
	c.Set(fiber.HeaderLocation, r.location(made.thing.ID))
	return send(c, fiber.StatusCreated, document)
}

// location returns the path of a thing.
func (r resource[T]) location(id string) string {
	if len(r.key) == 1 {
		id = url.PathEscape(id) // a service's name may be anything; the other ids are UUIDs
	}
	return prefix + r.path + "/" + id
}

func (r resource[T]) patch(d *api, c *fiber.Ctx) error {
	key := r.keyOf(c)
	var made outcome
	err := r.plan(d, c, readObject, func(v view, o *object) (access.Change, error) {
		value, err := r.editable(v, key)
		if err != nil {
			return access.Change{}, err
		}
		made, err = r.change(v, value, o)
		return made.change, err
	})
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, json.RawMessage(made.thing.Document))
}

func (r resource[T]) delete(d *api, c *fiber.Ctx) error {
	key := r.keyOf(c)
	noBody := func(*fiber.Ctx) (*object, error) { return nil, nil }
	err := r.plan(d, c, noBody, func(v view, _ *object) (access.Change, error) {
		value, err := r.editable(v, key)
		if err != nil {
			return access.Change{}, err
		}
		return r.retire(v, value)
	})
	if err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// plan makes the change that f plans for the caller. What the caller may do is asked again of the
// catalog that is changed: it may be newer than the one that let the caller in.
func (r resource[T]) plan(
	d *api, c *fiber.Ctx, read func(*fiber.Ctx) (*object, error),
	f func(view, *object) (access.Change, error),
) error {
	v, err := d.view(c, r.see)
	if err != nil {
		return err
	}
	if _, err := readQuery(c); err != nil {
		return err
	}
	o, err := read(c)
	if err != nil {
		return err
	}
	return d.door.Catalog.Change(c.UserContext(), dialect.ActorOf(v.caller),
		func(s *access.Snapshot) (access.Change, error) {
			v := v.on(s)
			if err := v.atLeast(r.see); err != nil {
				return access.Change{}, err
			}
			return f(v, o)
		})
}

// keyOf returns the segments that name a thing, the request's own.
func (r resource[T]) keyOf(c *fiber.Ctx) []string {
	key := make([]string, len(r.key))
	for i, name := range r.key {
		segment := strings.Clone(c.Params(name))
		if decoded, err := url.PathUnescape(segment); err == nil {
			segment = decoded
		}
		key[i] = segment
	}
	return key
}

// known returns the thing with a key. One that the caller may not see does not exist for them.
func (r resource[T]) known(v view, key []string) (T, error) {
	value, ok := r.find(v.Snapshot, key)
	if !ok || !r.visible(v, value) {
		return value, schema.Errorf(schema.NotFound, r.key[len(r.key)-1], "is unknown")
	}
	return value, nil
}

// editable is known, for whoever may change such things.
func (r resource[T]) editable(v view, key []string) (T, error) {
	value, err := r.known(v, key)
	if err != nil {
		return value, err
	}
	return value, v.atLeast(r.edit)
}
