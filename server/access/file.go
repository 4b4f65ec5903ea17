package access

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/meterhouse/meterhouse/schema"
)

// The catalog file, as docs/catalog.md describes it.
type fileCatalog struct {
	Organizations []fileOrganization `yaml:"organizations"`
	Services      []fileService      `yaml:"services"`
	Meters        []fileMeter        `yaml:"meters"`
	Rates         []fileRate         `yaml:"text_model_costs"`
}

type fileOrganization struct {
	ID          string           `yaml:"id"`
	Name        string           `yaml:"name"`
	Tenant      string           `yaml:"tenant"`
	Stripe      fileStripe       `yaml:"stripe"`
	Users       []fileUser       `yaml:"users"`
	Agents      []fileAgent      `yaml:"agents"`
	Credentials []fileCredential `yaml:"credentials"`

	EventsPerMinute string `yaml:"events_per_minute"`
	RetentionDays   string `yaml:"retention_days"`
}

type fileStripe struct {
	Customer         string `yaml:"customer"`
	Meter            string `yaml:"meter"`
	SubscriptionItem string `yaml:"subscription_item"`

	Meters []fileMapping `yaml:"meters"` // absent: nil, as it is
	Since  string        `yaml:"since"`
}

type fileMapping struct {
	Meter            string `yaml:"meter"`
	SubscriptionItem string `yaml:"subscription_item"`
}

type fileUser struct {
	ID     string `yaml:"id"`
	Name   string `yaml:"name"`
	Email  string `yaml:"email"`
	Role   string `yaml:"role"`
	Active *bool  `yaml:"active"` // absent: true
}

type fileAgent struct {
	ID    string `yaml:"id"`
	Name  string `yaml:"name"`
	Owner string `yaml:"owner"`
}

type fileCredential struct {
	Kind   string `yaml:"kind"`
	Agent  string `yaml:"agent"`
	User   string `yaml:"user"`
	Secret string `yaml:"secret"`

	Name              string `yaml:"name"`
	Expires           string `yaml:"expires"`
	RequestsPerMinute string `yaml:"requests_per_minute"`
}

type fileService struct {
	Name string `yaml:"name"`
}

type fileMeter struct {
	Name       string   `yaml:"name"`
	Unit       string   `yaml:"unit"`
	UsageTypes []string `yaml:"usage_types"`
	Models     []string `yaml:"models"`
	StripeID   string   `yaml:"stripe_id"`
}

type fileRate struct {
	Model       string `yaml:"model"`
	UsageType   string `yaml:"usage_type"`
	Provider    string `yaml:"provider"`
	ProviderUSD string `yaml:"provider_usd_per_million"`
	BilledUSD   string `yaml:"billed_usd_per_million"`
	From        string `yaml:"from"`
}

// parser gathers every problem of a file, so that they can all be mended at once.
type parser struct {
	catalog schema.Catalog
	telling telling
	errs    []error
}

func (p *parser) errorf(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// ParseFile reads a catalog file. The error joins all problems found, each with its place in the
// file; a secret is never part of one.
func ParseFile(r io.Reader) (schema.Catalog, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return schema.Catalog{}, fmt.Errorf("catalog: %w", err)
	}
	var f fileCatalog
	d := yaml.NewDecoder(bytes.NewReader(body))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return schema.Catalog{}, fmt.Errorf("catalog: %w", fileError(err))
	}
	p := &parser{telling: newTelling()}
	for i, o := range f.Organizations {
		p.organization(fmt.Sprintf("organizations[%d]", i), o)
	}
	for i, s := range f.Services {
		if p.text(fmt.Sprintf("services[%d].name", i), s.Name) {
			p.catalog.Services = append(p.catalog.Services, schema.Service{Name: s.Name})
		}
	}
	for i, m := range f.Meters {
		p.meter(fmt.Sprintf("meters[%d]", i), m)
	}
	for i, r := range f.Rates {
		p.rate(fmt.Sprintf("text_model_costs[%d]", i), r)
	}
	p.users()
	p.unique()
	if len(p.errs) > 0 {
		return schema.Catalog{}, fmt.Errorf("catalog: %w", errors.Join(p.errs...))
	}
	return p.catalog, nil
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// fileError says in one line, and without our names of types, what the YAML parser found.
func fileError(err error) error {
	e := (*yaml.TypeError)(nil)
	if !errors.As(err, &e) {
		return err
	}
	return errors.New(unknownField.ReplaceAllString(strings.Join(e.Errors, ", "), "$1 is unknown"))
}

func (p *parser) organization(at string, o fileOrganization) {
	id := p.id(at+".id", o.ID)
	p.text(at+".name", o.Name)
	p.optional(at+".tenant", o.Tenant)
	p.catalog.Organizations = append(p.catalog.Organizations, schema.Organization{
		ID: id, Name: o.Name, Tenant: o.Tenant, Stripe: p.mapping(at+".stripe", id, o.Stripe),
		EventsPerMinute: p.count(at+".events_per_minute", o.EventsPerMinute),
		RetentionDays:   p.retention(at+".retention_days", o.RetentionDays),
	})
	users := make(map[uuid.UUID]bool)
	for i, u := range o.Users {
		at := fmt.Sprintf("%s.users[%d]", at, i)
		user := p.id(at+".id", u.ID)
		p.text(at+".name", u.Name)
		role, ok := roles[u.Role]
		if !ok {
			p.errorf("%s.role: must be superadmin, admin or member", at)
		}
		users[user] = true
		p.optional(at+".email", u.Email)
		p.catalog.Users = append(p.catalog.Users,
			schema.User{ID: user, Name: u.Name, Email: u.Email})
		p.catalog.Memberships = append(p.catalog.Memberships, schema.Membership{
			Organization: id, User: user, Role: role, Active: u.Active == nil || *u.Active,
		})
	}
	agents := make(map[uuid.UUID]bool)
	for i, a := range o.Agents {
		at := fmt.Sprintf("%s.agents[%d]", at, i)
		agent := schema.Agent{ID: p.id(at+".id", a.ID), Organization: id, Name: a.Name}
		p.text(at+".name", a.Name)
		if a.Owner != "" {
			agent.Owner = p.oneOf(at+".owner", a.Owner, users, "users")
		}
		agents[agent.ID] = true
		p.catalog.Agents = append(p.catalog.Agents, agent)
	}
	for i, c := range o.Credentials {
		p.credential(fmt.Sprintf("%s.credentials[%d]", at, i), id, c, users, agents)
	}
}

func (p *parser) credential(
	at string, organization uuid.UUID, c fileCredential, users, agents map[uuid.UUID]bool,
) {
	kind, ok := kinds[c.Kind]
	if !ok {
		p.errorf("%s.kind: must be agent_secret, login_token, app_password or access_token", at)
		return
	}
	k := schema.Credential{Kind: kind, Organization: organization}
	if kind == schema.AgentSecret {
		k.Agent = p.oneOf(at+".agent", c.Agent, agents, "agents")
		if c.User != "" {
			p.errorf("%s.user: an agent's secret has no user", at)
		}
	} else {
		k.User = p.oneOf(at+".user", c.User, users, "users")
		if c.Agent != "" {
			p.errorf("%s.agent: only an agent's secret has an agent", at)
		}
	}
	k.Hash = p.secret(at+".secret", c.Secret)
	p.optional(at+".name", c.Name)
	k.Name = c.Name
	if c.Expires != "" {
		k.ExpiresAt = p.instant(at+".expires", c.Expires)
	}
	k.RequestsPerMinute = p.count(at+".requests_per_minute", c.RequestsPerMinute)
	p.catalog.Credentials = append(p.catalog.Credentials, k)
}

// count takes a whole number of 32 bits, 0 where there is none.
func (p *parser) count(at, s string) uint32 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		p.errorf("%s: must be a whole number from 0 to 4294967295", at)
	}
	return uint32(n)
}

// retention takes for how many days usage is kept.
func (p *parser) retention(at, s string) uint32 {
	days := p.count(at, s)
	if fault := schema.RetentionFault(days); fault != "" {
		p.errorf("%s: %s", at, fault)
	}
	return days
}

// secret takes a secret or its hash.
func (p *parser) secret(at, s string) schema.SecretHash {
	const prefix, shortest = "sha256:", 8
	digits, isHash := strings.CutPrefix(s, prefix)
	if !isHash {
		if len(s) < shortest {
			p.errorf("%s: must have at least %d characters", at, shortest)
		}
		return schema.HashSecret(s)
	}
	var hash schema.SecretHash
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(hash) {
		p.errorf("%s: sha256: must be followed by %d hexadecimal digits", at, 2*len(hash))
		return hash
	}
	copy(hash[:], b)
	return hash
}

// mapping takes an organization's mapping to Stripe. Whether its meters are the catalog's, the
// catalog says: they may be another file's.
func (p *parser) mapping(at string, id uuid.UUID, s fileStripe) schema.StripeMapping {
	p.optional(at+".customer", s.Customer)
	p.optional(at+".meter", s.Meter)
	p.optional(at+".subscription_item", s.SubscriptionItem)
	m := schema.StripeMapping{
		Customer: s.Customer, Meter: s.Meter, SubscriptionItem: s.SubscriptionItem,
	}
	if s.Meters != nil {
		m.Meters = make([]schema.MeterMapping, 0, len(s.Meters))
	}
	for _, each := range s.Meters {
		m.Meters = append(m.Meters, schema.MeterMapping(each))
	}
	if s.Since != "" {
		m.Since = p.instant(at+".since", s.Since)
	}
	p.faults(at, MappingFaults(m))
	if err, clashes := p.telling.clash(id, m); clashes {
		p.faults(at, []*schema.Error{err})
	}
	p.telling.add(id, m)
	return m
}

func (p *parser) meter(at string, f fileMeter) {
	unit, ok := schema.ParseMeterUnit(f.Unit)
	if !ok {
		p.errorf("%s.unit: must be micro_usd or quantity", at)
	}
	m := schema.Meter{
		Name: f.Name, Unit: unit, UsageTypes: f.UsageTypes, Models: f.Models,
		StripeID: f.StripeID,
	}
	p.faults(at, MeterFaults(m))
	p.catalog.Meters = append(p.catalog.Meters, m)
}

func (p *parser) faults(at string, all []*schema.Error) {
	for _, e := range all {
		p.errorf("%s.%s: %s", at, e.Field, e.Message)
	}
}

func (p *parser) rate(at string, r fileRate) {
	p.text(at+".model", r.Model)
	if !schema.UsageTypeValid(r.UsageType) {
		p.errorf("%s.usage_type: must be upper-case letters, digits and _", at)
	}
	p.optional(at+".provider", r.Provider)
	rate := schema.Rate{
		Model: r.Model, UsageType: r.UsageType, Provider: r.Provider,
		ProviderUSDPerMillion: p.usd(at+".provider_usd_per_million", r.ProviderUSD),
		BilledUSDPerMillion:   p.usd(at+".billed_usd_per_million", r.BilledUSD),
		From:                  p.instant(at+".from", r.From),
	}
	rate.ID = schema.RateID(rate)
	p.catalog.Rates = append(p.catalog.Rates, rate)
}

// instant reads a date, which is midnight UTC, or an instant, to the microsecond.
func (p *parser) instant(at, s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil {
		p.errorf("%s: must be a date or an RFC 3339 instant", at)
		return time.Time{}
	}
	if t = t.UTC().Truncate(time.Microsecond); !schema.InstantValid(t) {
		p.errorf("%s: must be from 1970 to 2199", at)
	}
	return t
}

func (p *parser) usd(at, s string) schema.USD {
	u, err := schema.ParseUSD(s)
	if err != nil {
		p.errorf("%s: %w", at, err)
	} else if u.Sign() < 0 {
		p.errorf("%s: must not be negative", at)
	}
	return u
}

func (p *parser) id(at, s string) uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil || id == uuid.Nil {
		p.errorf("%s: must be a UUID", at)
	}
	return id
}

func (p *parser) oneOf(at, s string, known map[uuid.UUID]bool, list string) uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil || !known[id] {
		p.errorf("%s: must be the id of one of this organization's %s", at, list)
	}
	return id
}

func (p *parser) text(at, s string) bool {
	if s == "" {
		p.errorf("%s: is missing", at)
		return false
	}
	return p.optional(at, s)
}

// optional checks a text that may be empty.
func (p *parser) optional(at, s string) bool {
	if err := schema.CheckText(at, s); err != nil {
		p.errs = append(p.errs, err)
		return false
	}
	return true
}

// users makes one of each user who is named in several organizations, and refuses one who is not
// the same in all of them.
func (p *parser) users() {
	at := make(map[uuid.UUID]int)
	var all []schema.User
	for _, u := range p.catalog.Users {
		i, ok := at[u.ID]
		if !ok {
			at[u.ID] = len(all)
			all = append(all, u)
			continue
		}
		if all[i].Email == "" {
			all[i].Email = u.Email
		}
		if u.ID == uuid.Nil {
			continue // no id, which was said already
		}
		if all[i].Name != u.Name || u.Email != "" && u.Email != all[i].Email {
			p.errorf("user %s: must have one name and one email in all organizations", u.ID)
		}
	}
	p.catalog.Users = all
}

// unique refuses what a look-up could not tell apart.
func (p *parser) unique() {
	c := &p.catalog
	refuseTwice(p, c.Organizations, "organization id",
		func(o schema.Organization) any { return o.ID })
	refuseTwice(p, c.Organizations, "tenant", func(o schema.Organization) any {
		if o.Tenant == "" {
			return nil
		}
		return o.Tenant
	})
	refuseTwice(p, c.Memberships, "user in one organization", func(m schema.Membership) any {
		return membershipKey{m.Organization, m.User}
	})
	refuseTwice(p, c.Agents, "agent id", func(a schema.Agent) any { return a.ID })
	refuseTwice(p, c.Services, "service name", func(s schema.Service) any { return s.Name })
	refuseTwice(p, c.Meters, "meter name", func(m schema.Meter) any { return m.Name })
	secrets := make(map[credentialKey]bool, len(c.Credentials))
	for _, k := range c.Credentials {
		key := credentialKey{k.Kind, k.Hash}
		if secrets[key] { // the key itself is not for an error's text
			p.errorf("credentials: two of one kind have the same secret (organization %s)",
				k.Organization)
		}
		secrets[key] = true
	}
	refuseTwice(p, c.Rates, "rate (model, usage_type, from)", func(r schema.Rate) any {
		return [3]any{r.Model, r.UsageType, r.From}
	})
}

// refuseTwice reports values whose key was there before; a nil key is never compared.
func refuseTwice[T any](p *parser, all []T, what string, key func(T) any) {
	seen := make(map[any]bool, len(all))
	for _, v := range all {
		k := key(v)
		if k != nil && seen[k] {
			p.errorf("%s: %v is given twice", what, k)
		}
		seen[k] = true
	}
}
