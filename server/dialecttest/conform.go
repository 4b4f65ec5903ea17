package dialecttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Row is one statement of a wire contract: a request, and the whole of its answer.
type Row struct {
	Name    string // the statement in a few words, with its section
	Request Request
	Status  int
	// Header is every header of the answer, names and values in turn, but Date and Content-Length.
	Header []string
	// Body is compared as JSON where it is some: members in any order and none more, numbers by
	// their text. Other bodies are compared byte by byte. A text, also of a header, may be one of
	// the forms below.
	Body string
}

// What a text of a Row may stand for.
const (
	AnyID      = "«uuid»"
	AnyInstant = "«instant»" // RFC 3339, UTC
	AnyInteger = "«integer»" // a JSON number, or a text of digits
)

var forms = map[string]*regexp.Regexp{
	AnyID:      regexp.MustCompile(`^"?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"?$`),
	AnyInstant: regexp.MustCompile(`^"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"?$`),
	AnyInteger: regexp.MustCompile(`^-?\d+$`),
}

// Conform tests each row by itself.
func (n *Node) Conform(t *testing.T, rows []Row) {
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) { row.Check(t, n.Do(t, row.Request)) })
	}
}

// Check compares an answer with what the row says it is.
func (r Row) Check(t testing.TB, got Response) {
	t.Helper()
	if got.Status != r.Status {
		t.Errorf("status %d, want %d: %s", got.Status, r.Status, got.Body)
	}
	r.checkHeader(t, got)
	want, err := parseJSON(r.Body)
	if err != nil {
		if string(got.Body) != r.Body {
			t.Errorf("body %q, want %q", got.Body, r.Body)
		}
		return
	}
	have, err := parseJSON(string(got.Body))
	if err != nil {
		t.Errorf("%v: %s", err, got.Body)
		return
	}
	if at := differ("", want, have); at != "" {
		t.Errorf("%s\n got %s\nwant %s", at, got.Body, r.Body)
	}
}

func (r Row) checkHeader(t testing.TB, got Response) {
	t.Helper()
	want := make(http.Header)
	for i := 0; i+1 < len(r.Header); i += 2 {
		want.Add(r.Header[i], r.Header[i+1])
	}
	for name, values := range want {
		if !slices.EqualFunc(values, got.Header[name], func(want, got string) bool {
			form := forms[want]
			return got == want || form != nil && form.MatchString(got)
		}) {
			t.Errorf("header %s: %q, want %q", name, got.Header[name], values)
		}
	}
	for name, values := range got.Header {
		_, wanted := want[name]
		switch {
		case wanted, name == "Date", name == "Content-Length":
		case name == dialect.HeaderRequestID: // every answer has one, a row need not say so
			if len(values) != 1 || !forms[AnyID].MatchString(values[0]) {
				t.Errorf("header %s: %q, want one UUID", name, values)
			}
		default:
			t.Errorf("header %s: %q, want none", name, values)
		}
	}
	length := []string{strconv.Itoa(len(got.Body))}
	if r.Status == http.StatusNoContent { // it has no body to be measured
		length = nil
	}
	if len(got.Body) == 0 && r.Request.Method == http.MethodHead {
		return
	}
	if sent := got.Header["Content-Length"]; !slices.Equal(sent, length) {
		t.Errorf("Content-Length %q, want %q", sent, length)
	}
}

// parseJSON reads one value. Objects are map[string]any, numbers json.Number; a member that is
// there twice is an error.
func parseJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := nextValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func nextValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := nextValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		members := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := members[name.(string)]; twice {
				return nil, fmt.Errorf("member %q is there twice", name)
			}
			if members[name.(string)], err = nextValue(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return members, err
	}
	return token, nil
}

// differ returns where and how two values differ; empty when they do not.
func differ(at string, want, got any) string {
	if text, ok := want.(string); ok && forms[text] != nil {
		if written, err := json.Marshal(got); err != nil || !forms[text].Match(written) {
			return fmt.Sprintf("%s is %s, want %s", at, written, text)
		}
		return ""
	}
	switch want := want.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			break
		}
		for name, v := range want {
			if _, ok := have[name]; !ok {
				return fmt.Sprintf("%s.%s is missing", at, name)
			}
			if d := differ(at+"."+name, v, have[name]); d != "" {
				return d
			}
		}
		for name := range have {
			if _, ok := want[name]; !ok {
				return fmt.Sprintf("%s.%s is one too many", at, name)
			}
		}
		return ""
	case []any:
		have, ok := got.([]any)
		if !ok {
			break
		}
		if len(have) != len(want) {
			return fmt.Sprintf("%s has %d elements, want %d", at, len(have), len(want))
		}
		for i := range want {
			if d := differ(fmt.Sprintf("%s[%d]", at, i), want[i], have[i]); d != "" {
				return d
			}
		}
		return ""
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s is %#v, want %#v", at, got, want)
}

// Events writes events through the native API with a credential of an organization's admin, and
// returns once they are in the ledger. An event is a JSON object.
func (h *Harness) Events(t testing.TB, o *Organization, events ...string) {
	t.Helper()
	r := Request{
		Method: http.MethodPost, Path: "/v1/events?atomic=true",
		Body: "[" + strings.Join(events, ",") + "]",
	}.With("Authorization", "Bearer "+o.Admin.AccessToken, "Content-Type", "application/json")
	if got := h.Do(t, r); got.Status != http.StatusCreated {
		t.Fatalf("events: %v", got)
	}
	h.Flush(t)
}

// Limited adds a credential like another that may ask so often a minute, and returns its secret. It
// returns early in one of the minutes that are counted, so that a test is over before the next.
func (h *Harness) Limited(t testing.TB, of schema.Credential, requestsPerMinute uint32) string {
	t.Helper()
	secret := "limited-" + uuid.NewString()
	of.Hash, of.RequestsPerMinute = schema.HashSecret(secret), requestsPerMinute
	h.Change(t, schema.Catalog{Credentials: []schema.Credential{of}}, schema.Catalog{})
	const enough = 15 // seconds
	if left := 60 - time.Now().Second(); left < enough {
		time.Sleep(time.Duration(left) * time.Second)
	}
	return secret
}

// Marks returns what of the organization an answer to somebody else must not hold: its names, ids,
// texts, secrets, and the ids of its credentials.
func (o *Organization) Marks() []string {
	all := append(o.marks(), o.secrets()...)
	for _, s := range append(o.Secrets(), o.Former.all()...) {
		all = append(all, schema.Credential{Kind: s.Kind, Hash: schema.HashSecret(s.Text)}.ID().String())
	}
	return append(all, o.Former.ID.String())
}

// Secrets returns every credential of the organization's that counts.
func (o *Organization) Secrets() []Secret {
	all := []Secret{o.MembersAgent.Secret(), o.AdminsAgent.Secret()}
	for _, u := range []User{o.Superadmin, o.Admin, o.Member} {
		all = append(all, u.all()...)
	}
	return all
}

func (u User) all() []Secret {
	return []Secret{
		u.Secret(schema.LoginToken), u.Secret(schema.AppPassword), u.Secret(schema.AccessToken),
	}
}

// Change changes the catalog as another node would, and lets this one know.
func (h *Harness) Change(t testing.TB, upsert, retire schema.Catalog) {
	t.Helper()
	version := h.directory.Snapshot().Version() + 1
	if err := h.queries.SaveCatalog(t.Context(), schema.CatalogChange{
		Upsert: upsert, Retire: retire, Version: version, At: time.Now(),
		Actor: "test", Summary: "a change",
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.directory.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}
