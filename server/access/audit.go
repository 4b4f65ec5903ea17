package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Touched returns what a change touches: an entry for each thing that it creates, changes or
// retires, with what it was and what it is. What stays as it is has none.
func Touched(have *Snapshot, c Change) []schema.AuditEntry {
	before := make(map[[2]string]Thing)
	for _, t := range things(have.counterparts(c.Upsert)) {
		before[t.identity()] = t
	}
	users := usersOf(have, c)
	var all []schema.AuditEntry
	add := func(action schema.AuditAction, t Thing, was, is string) {
		if t.Kind == KindUser {
			t.Organization = users[t.ID]
		}
		all = append(all, schema.AuditEntry{
			Organization: t.Organization, Kind: t.Kind, ID: t.ID, Action: action,
			Before: was, After: is,
		})
	}
	for _, t := range things(c.Upsert) {
		old, ok := before[t.identity()]
		delete(before, t.identity())
		switch {
		case !ok:
			add(schema.Created, t, "", t.Document)
		case old.Document != t.Document:
			add(schema.Changed, t, old.Document, t.Document)
		}
	}
	// What is left has no counterpart in what is written: a mapping that was taken off.
	for _, t := range things(have.counterparts(c.Upsert)) {
		if _, left := before[t.identity()]; left {
			add(schema.Retired, t, t.Document, "")
		}
	}
	for _, t := range things(have.counterparts(c.Retire)) {
		add(schema.Retired, t, t.Document, "")
	}
	return all
}

// identity is what a thing has in common with what it was.
func (t Thing) identity() [2]string {
	if t.key != "" {
		return [2]string{t.Kind, t.key}
	}
	return [2]string{t.Kind, t.ID}
}

// usersOf returns, by user id, the organization of each user a change touches who is, or becomes, a
// member of exactly one: its admins may see what happened.
func usersOf(have *Snapshot, c Change) map[string]uuid.UUID {
	of := make(map[uuid.UUID]map[uuid.UUID]bool)
	for _, u := range append(append([]schema.User(nil), c.Upsert.Users...), c.Retire.Users...) {
		of[u.ID] = make(map[uuid.UUID]bool)
	}
	if len(of) == 0 {
		return nil
	}
	add := func(m schema.Membership) {
		if organizations, ok := of[m.User]; ok {
			organizations[m.Organization] = true
		}
	}
	for m := range have.EachMembership() {
		add(m)
	}
	for _, m := range c.Upsert.Memberships {
		add(m)
	}
	only := make(map[string]uuid.UUID)
	for user, organizations := range of {
		for id := range organizations {
			if len(organizations) == 1 {
				only[user.String()] = id
			}
		}
	}
	return only
}

// Lines says what a change does, a line for each thing it touches, for a person to read.
func Lines(entries []schema.AuditEntry) []string {
	lines := make([]string, len(entries))
	for i, e := range entries {
		switch e.Action {
		case schema.Created:
			lines[i] = "+ " + e.Kind + " " + e.ID + described(e.After)
		case schema.Retired:
			lines[i] = "- " + e.Kind + " " + e.ID + described(e.Before)
		default:
			lines[i] = "~ " + e.Kind + " " + e.ID + " " + difference(e.Before, e.After)
		}
	}
	return lines
}

// described returns a new or a former thing's members, but for its ids and what is empty.
func described(document string) string {
	var b strings.Builder
	for _, m := range members(document) {
		switch {
		case m.name == "id" || m.value == `""` || m.value == "null" || m.value == "0" ||
			m.value == "[]":
		default:
			fmt.Fprintf(&b, " %s: %s", m.name, m.value)
		}
	}
	return b.String()
}

// difference returns what a thing's members were and what they are.
func difference(before, after string) string {
	was := make(map[string]string)
	for _, m := range members(before) {
		was[m.name] = m.value
	}
	var parts []string
	for _, m := range members(after) {
		if m.name != "id" && was[m.name] != m.value {
			parts = append(parts, fmt.Sprintf("%s: %s → %s", m.name, was[m.name], m.value))
		}
	}
	return strings.Join(parts, ", ")
}

type member struct{ name, value string }

// members returns the members of one of our own documents in their order.
func members(document string) []member {
	d := json.NewDecoder(bytes.NewReader([]byte(document)))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var all []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return all
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return all
		}
		all = append(all, member{fmt.Sprint(name), string(value)})
	}
	return all
}
