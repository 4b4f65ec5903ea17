package admin

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// auditEntry is one thing that a change touched.
type auditEntry struct {
	Version      string          `json:"version"` // of the change: entries of one change share it
	ChangedAt    time.Time       `json:"changed_at"`
	Actor        string          `json:"actor"`
	Organization *uuid.UUID      `json:"organization_id"`
	Kind         string          `json:"kind"`
	ID           string          `json:"id"`
	Action       string          `json:"action"`
	Before       json.RawMessage `json:"before"`
	After        json.RawMessage `json:"after"`
}

var actions = map[schema.AuditAction]string{
	schema.Created: "create", schema.Changed: "change", schema.Retired: "retire",
}

// audit answers with the record of changes, the newest first: to an admin, of what is the
// organization's.
func (d *api) audit(c *fiber.Ctx) error {
	v, err := d.view(c, schema.Admin)
	if err != nil {
		return err
	}
	q, err := readQuery(c, "limit", "cursor", "organization_id")
	if err != nil {
		return err
	}
	var p dialect.AuditParams
	if p.Limit, err = q.limit(); err != nil {
		return err
	}
	if p.Before, err = q.auditPlace(); err != nil {
		return err
	}
	if p.Organization, err = v.scope(q); err != nil {
		return err
	}
	entries, next, err := d.door.Catalog.Audit(c.UserContext(), p)
	if err != nil {
		return err
	}
	answer := struct {
		Items      []auditEntry `json:"items"`
		NextCursor *string      `json:"next_cursor"`
	}{Items: make([]auditEntry, len(entries))}
	for i, e := range entries {
		answer.Items[i] = auditEntry{
			Version: strconv.FormatUint(e.Version, 10), ChangedAt: e.At, Actor: e.Actor,
			Organization: orNull(e.Organization), Kind: e.Kind, ID: e.ID,
			Action: actions[e.Action], Before: orNone(e.Before), After: orNone(e.After),
		}
	}
	if next != (dialect.AuditPlace{}) {
		answer.NextCursor = cursorAt(fmt.Sprintf("%d.%d", next.Version, next.Ordinal))
	}
	return send(c, fiber.StatusOK, answer)
}

// scope returns whose things are asked for: the organization named, else an admin's own, else, for
// a superadmin, zero: everybody's.
func (v view) scope(q query) (uuid.UUID, error) {
	id, err := v.filter(q)
	if id == uuid.Nil && !v.superadmin() {
		id = v.caller.Organization
	}
	return id, err
}

func (q query) auditPlace() (dialect.AuditPlace, error) {
	text, err := q.cursor()
	if err != nil || text == "" {
		return dialect.AuditPlace{}, err
	}
	version, ordinal, _ := strings.Cut(text, ".")
	v, err := strconv.ParseUint(version, 10, 64)
	o, err2 := strconv.ParseUint(ordinal, 10, 32)
	if err != nil || err2 != nil || v == 0 {
		return dialect.AuditPlace{}, errCursor()
	}
	return dialect.AuditPlace{Version: v, Ordinal: uint32(o)}, nil
}

func orNone(document string) json.RawMessage {
	if document == "" {
		return nil
	}
	return json.RawMessage(document)
}
