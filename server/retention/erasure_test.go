package retention

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// person is a user who is to be forgotten, and everything that may name them.
type person struct {
	name   string
	id     uuid.UUID
	events []uuid.UUID
}

func (p person) email() string { return p.name + "@people.example" }

func (p person) needles() []string {
	raw, _ := hex.DecodeString(strings.ReplaceAll(p.id.String(), "-", ""))
	return []string{p.id.String(), string(raw), p.name, p.email()}
}

// people returns a catalog with a person for each name: a member of acme, with a credential and an
// agent.
func people(names ...string) (schema.Catalog, map[string]*person) {
	c := schema.Catalog{
		Organizations: []schema.Organization{{ID: acme, Name: "Acme"}, {ID: globex, Name: "Globex"}},
		Users:         []schema.User{{ID: root, Name: "Root"}},
		Memberships:   []schema.Membership{{Organization: acme, User: root, Role: 3, Active: true}},
	}
	all := make(map[string]*person)
	for i, name := range names {
		p := &person{name: "Person-" + name, id: named("person " + name)}
		all[name] = p
		c.Users = append(c.Users, schema.User{ID: p.id, Name: p.name, Email: p.email()})
		c.Memberships = append(c.Memberships, schema.Membership{
			Organization: acme, User: p.id, Role: schema.Admin, Active: true,
		})
		c.Agents = append(c.Agents, schema.Agent{
			ID: named("agent of " + name), Organization: acme, Name: fmt.Sprint("a", i), Owner: p.id,
		})
		c.Credentials = append(c.Credentials, schema.Credential{
			Hash: schema.HashSecret(name), Kind: schema.AccessToken, Organization: acme,
			User: p.id, Name: "laptop of " + p.name,
		})
	}
	return c, all
}

// places returns the columns of every table of the database that hold any of some texts.
func (w *world) places(needles []string) []string {
	w.t.Helper()
	list := make([]string, len(needles))
	for i, n := range needles {
		list[i] = fmt.Sprintf("unhex('%x')", n)
	}
	columns := make(map[string][]string)
	for _, line := range w.db.Strings(`SELECT table, name FROM system.columns
		WHERE database = currentDatabase() AND type NOT LIKE 'AggregateFunction%'
		AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase()
			AND engine LIKE '%MergeTree' AND total_rows > 0)`) {
		table, column, _ := strings.Cut(line, " ")
		columns[table] = append(columns[table], column)
	}
	var found []string
	for table, names := range columns {
		counts := make([]string, len(names))
		for i, name := range names {
			counts[i] = fmt.Sprintf(
				"if(countIf(multiSearchAny(toString(%s), needles)) > 0, '%s.%s ', '')",
				name, table, name)
		}
		found = append(found, strings.Fields(w.db.Strings(fmt.Sprintf(
			"WITH [%s] AS needles SELECT concat('', %s) FROM %s",
			strings.Join(list, ", "), strings.Join(counts, ", "), table))[0])...)
	}
	slices.Sort(found)
	return found
}

func (w *world) eraser(step func(string) error) *Eraser {
	return NewEraser(EraserConfig{
		Queries: w.queries, Directory: w.directory, Flush: w.ingest.Flush, Now: w.now,
		Logger: quiet, step: step,
	})
}

// use records usage of a person in two months or three, and corrects some of it in the person's name.
func (w *world) use(p *person) {
	w.t.Helper()
	p.events = w.record(w.event(acme, p.id, 1), w.event(acme, p.id, 2), w.event(acme, p.id, 40),
		w.event(acme, root, 2), w.event(globex, p.id, 2))
	for i, change := range []func(schema.Event) (*schema.Event, error){
		func(e schema.Event) (*schema.Event, error) {
			e.Measurements[0].Quantity = schema.WholeQuantity(5)
			return &e, nil
		},
		func(schema.Event) (*schema.Event, error) { return nil, nil },
	} {
		if _, err := w.corrector.Correct(w.t.Context(), dialect.CorrectParams{
			Organization: acme, Event: p.events[i], Actor: "user:" + p.id.String(), Change: change,
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.db.Exec(`INSERT INTO exports (organization_id, id, version, requested_by, user_id, request,
		state) VALUES (?, ?, 1, ?, ?, ?, 'done')`, acme, uuid.New(), p.id, p.id,
		`{"user_id":["`+p.id.String()+`"]}`)
}

// TestErasureLeavesNothing erases people, crashes at each step, goes on, and looks into every column
// of every table. Without the merge of the rollups the rows that come to nothing were found again and
// again, and no erasure was done.
func TestErasureLeavesNothing(t *testing.T) {
	t.Parallel()
	steps := []string{
		"never", "left", "catalog", "consumption_daily", "corrections", "usage_events", "saved",
	}
	c, all := people(steps...)
	w := newWorld(t, c)
	for _, step := range steps {
		w.use(all[step])
	}
	want := w.sums("1")
	first := all[steps[0]]
	if got := w.places(first.needles()); len(got) < 12 {
		t.Errorf("before, the person is only found in %v", got)
	}
	replacements := make(map[uuid.UUID]string)
	for _, step := range steps {
		p := all[step]
		done, err := w.eraser(crashAt(step)).Erase(t.Context(), acme, p.id, "user:"+root.String())
		if step == "never" && (err != nil || done.DoneAt.IsZero()) {
			t.Fatalf("Erase: %+v, %v", done, err)
		}
		if step != "never" {
			if schema.KindOf(err) != schema.Unavailable {
				t.Errorf("%s: Erase: %v", step, err)
			}
			w.ahead.Add(int64(2 * time.Minute))
			if err := w.eraser(nil).GoOn(t.Context(), false); err != nil {
				t.Fatalf("%s: GoOn: %v", step, err)
			}
			if done, err = w.eraser(nil).Erase(t.Context(), acme, p.id, ""); err != nil {
				t.Fatalf("%s: Erase again: %v", step, err)
			}
		}
		if other, ok := replacements[done.Replacement]; ok || done.Replacement == uuid.Nil {
			t.Errorf("%s: the replacement %s is that of %s", step, done.Replacement, other)
		}
		replacements[done.Replacement] = step
		p.check(t, w, done)
	}
	w.forgotten(all)
	if diff := cmp.Diff(want, w.sums("1")); diff != "" {
		t.Errorf("sums (-before +after):\n%s", diff)
	}
	if used := w.db.Strings(`SELECT DISTINCT toString(user_id) FROM usage_events
		WHERE organization_id = ?`, acme); len(used) != len(steps)+1 {
		t.Errorf("users after: %v", used)
	}
	w.verified()
}

// forgotten looks for people who were erased, of whom another organization has usage.
func (w *world) forgotten(all map[string]*person) {
	w.t.Helper()
	var needles []string
	for _, p := range all {
		needles = append(needles, p.needles()...)
	}
	if diff := cmp.Diff([]string{
		"consumption_daily.user_id", "consumption_monthly.user_id", "usage_events.user_id",
	}, w.places(needles)); diff != "" {
		w.t.Errorf("named in (-globex's +all):\n%s", diff)
	}
	for _, p := range all {
		for _, table := range []string{"usage_events", "consumption_daily", "consumption_monthly"} {
			if n := w.db.Strings("SELECT toString(count()) FROM "+table+
				" WHERE organization_id = ? AND user_id = ?", acme, p.id); n[0] != "0" {
				w.t.Errorf("%s has %s rows of %s", table, n[0], p.name)
			}
		}
	}
}

// check looks at the history of a person who was erased.
func (p *person) check(t *testing.T, w *world, done schema.Erasure) {
	t.Helper()
	history, err := w.queries.EventRevisions(t.Context(), queries.EventParams{
		Organization: acme, Event: p.events[0],
	})
	if err != nil || len(history) != 2 || history[1].Event.User != done.Replacement ||
		history[1].Actor != "user:"+done.Replacement.String() {
		t.Errorf("the history of a corrected event of %s: %+v, %v", p.name, history, err)
	}
	if _, ok := w.directory.Snapshot().User(p.id); ok {
		t.Errorf("%s is in the catalog", p.name)
	}
}

// TestErasureOfWhatComesLate erases a person of whom a log still has usage, which is stored later.
func TestErasureOfWhatComesLate(t *testing.T) {
	t.Parallel()
	c, all := people("late", "back")
	w := newWorld(t, c)
	late, back := all["late"], all["back"]
	w.use(late)
	w.use(back)
	e := w.eraser(nil)
	first, err := e.Erase(t.Context(), acme, late.id, "user:"+root.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Erase(t.Context(), acme, back.id, "user:"+root.String()); err != nil {
		t.Fatal(err)
	}
	w.record(w.event(acme, late.id, 3), w.event(acme, late.id, 41), w.event(acme, back.id, 3))
	w.change(schema.Catalog{ // under the same id, by an admin
		Users:       []schema.User{{ID: back.id, Name: "Back"}},
		Memberships: []schema.Membership{{Organization: acme, User: back.id, Role: 1, Active: true}},
	})
	want := w.sums("1")
	w.ahead.Add(int64(time.Hour))
	for range 2 { // the second finds nothing
		if err := e.GoOn(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	late.check(t, w, first)
	w.forgotten(map[string]*person{"late": late})
	if diff := cmp.Diff(want, w.sums("1")); diff != "" {
		t.Errorf("sums (-before +after):\n%s", diff)
	}
	if n := w.db.Strings(`SELECT toString(uniqExact(event_id)) FROM usage_events
		WHERE organization_id = ? AND user_id = ?`, acme, back.id); n[0] != "1" {
		t.Errorf("of who came back %s events are theirs", n[0])
	}
	again, err := e.Erase(t.Context(), acme, late.id, "")
	if err != nil || again.Replacement != first.Replacement {
		t.Errorf("asked again: %+v, %v; first %+v", again, err, first)
	}
	w.verified()
}

// TestErasureOfNobody is refused, and one of a member elsewhere leaves that membership.
func TestErasureOfNobody(t *testing.T) {
	t.Parallel()
	c, all := people("both")
	both := all["both"]
	c.Memberships = append(c.Memberships,
		schema.Membership{Organization: globex, User: both.id, Role: 1, Active: true})
	w := newWorld(t, c)
	w.record(w.event(globex, both.id, 2))
	e := w.eraser(nil)
	_, err := e.Erase(t.Context(), acme, named("nobody"), "")
	if se := (*schema.Error)(nil); !errors.As(err, &se) || se.Kind != schema.NotFound {
		t.Errorf("of nobody: %v", err)
	}
	if n := w.db.Strings("SELECT toString(count()) FROM erasures"); n[0] != "0" {
		t.Errorf("%s erasures of nobody are stored", n[0])
	}
	if done, err := e.Erase(t.Context(), acme, both.id, ""); err != nil || done.DoneAt.IsZero() {
		t.Fatalf("Erase: %+v, %v", done, err)
	}
	s := w.directory.Snapshot()
	_, here := s.Membership(acme, both.id)
	_, there := s.Membership(globex, both.id)
	if u, ok := s.User(both.id); here || !there || !ok || u.Name != both.name {
		t.Errorf("member of acme %v, of globex %v, user %+v", here, there, u)
	}
}
