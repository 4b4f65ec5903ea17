package dialecttest

import (
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Secret is a credential as a client presents it. An empty Text is none.
type Secret struct {
	Kind schema.CredentialKind
	Text string
}

// kinds is every kind of credential.
var kinds = []schema.CredentialKind{
	schema.AgentSecret, schema.LoginToken, schema.AppPassword, schema.AccessToken,
}

// User is a user of one organization, with every credential a user can have.
type User struct {
	ID          uuid.UUID
	Name        string
	LoginToken  string
	AppPassword string
	AccessToken string
}

// Secret returns the user's credential of a kind; of an agent's secret, none.
func (u User) Secret(kind schema.CredentialKind) Secret {
	switch kind {
	case schema.LoginToken:
		return Secret{kind, u.LoginToken}
	case schema.AppPassword:
		return Secret{kind, u.AppPassword}
	case schema.AccessToken:
		return Secret{kind, u.AccessToken}
	}
	return Secret{Kind: kind}
}

// Agent is an agent of one organization.
type Agent struct {
	ID    uuid.UUID
	Name  string
	Owner uuid.UUID
	Token string
}

// Secret returns the agent's secret.
func (a Agent) Secret() Secret { return Secret{schema.AgentSecret, a.Token} }

// Organization is one of the two of the catalog. Its Mark is part of every name and text of its
// own, and of nothing of the other's.
type Organization struct {
	ID     uuid.UUID
	Mark   string
	Tenant string

	Superadmin, Admin, Member User
	Former                    User // no active member any more

	MembersAgent Agent // owned by Member
	AdminsAgent  Agent // owned by Admin

	MembersRecord uuid.UUID // an event of UNITS, as the usage tracker lists them
	AdminsRecord  uuid.UUID
}

// Secret returns a credential of a kind that may do whatever the kind can: the admin's, or the
// secret of the member's agent.
func (o *Organization) Secret(kind schema.CredentialKind) Secret {
	if kind == schema.AgentSecret {
		return o.MembersAgent.Secret()
	}
	return o.Admin.Secret(kind)
}

func newOrganization(mark string) *Organization {
	user := func(name string) User {
		return User{
			ID:          uuid.New(),
			Name:        mark + " " + name,
			LoginToken:  uuid.NewString(),
			AppPassword: "app_a7_" + uuid.NewString(),
			AccessToken: "dop_v1_" + uuid.NewString(),
		}
	}
	o := &Organization{
		ID: uuid.New(), Mark: mark, Tenant: "www." + mark + ".example",
		Superadmin: user("superadmin"), Admin: user("admin"), Member: user("member"),
		Former:        user("former"),
		MembersRecord: uuid.New(), AdminsRecord: uuid.New(),
	}
	agent := func(name string, owner User) Agent {
		return Agent{uuid.New(), mark + " " + name, owner.ID, "agent-secret-" + uuid.NewString()}
	}
	o.MembersAgent = agent("agent one", o.Member)
	o.AdminsAgent = agent("agent two", o.Admin)
	return o
}

// Service returns the name of a service of the catalog's that the organization used.
func (o *Organization) Service() string { return o.Mark + "-service" }

// Meter returns the name of a meter of the catalog's.
func (o *Organization) Meter() string { return o.Mark + "-meter" }

// Model returns the name of a model with prices for input and output.
func (o *Organization) Model() string { return o.Mark + "-priced" }

// Embedding returns the name of a model with a price for input only.
func (o *Organization) Embedding() string { return o.Mark + "-embedding" }

// addTo puts the organization into a catalog.
func (o *Organization) addTo(c *schema.Catalog) {
	c.Organizations = append(c.Organizations, schema.Organization{
		ID: o.ID, Name: o.Mark + " organization", Tenant: o.Tenant,
	})
	c.Services = append(c.Services, schema.Service{Name: o.Service()})
	c.Meters = append(c.Meters, schema.Meter{Name: o.Meter()})
	for model, types := range map[string][]string{
		o.Model(): {schema.Input, schema.Output}, o.Embedding(): {schema.Input},
	} {
		for _, usageType := range types {
			rate := schema.Rate{Model: model, UsageType: usageType, From: time.Unix(0, 0).UTC()}
			rate.ProviderUSDPerMillion = schema.USDOf(schema.Int128{Lo: 150_000_000_000}) // 0.15
			rate.BilledUSDPerMillion = schema.USDOf(schema.Int128{Lo: 195_000_000_000})
			rate.ID = schema.RateID(rate)
			c.Rates = append(c.Rates, rate)
		}
	}
	for _, m := range []struct {
		user User
		role schema.Role
	}{
		{o.Superadmin, schema.Superadmin}, {o.Admin, schema.Admin}, {o.Member, schema.Member},
		{o.Former, schema.Superadmin},
	} {
		c.Users = append(c.Users, schema.User{ID: m.user.ID, Name: m.user.Name})
		c.Memberships = append(c.Memberships, schema.Membership{
			Organization: o.ID, User: m.user.ID, Role: m.role, Active: m.user.ID != o.Former.ID,
		})
		for _, kind := range kinds[1:] {
			c.Credentials = append(c.Credentials, schema.Credential{
				Hash: schema.HashSecret(m.user.Secret(kind).Text), Kind: kind,
				Organization: o.ID, User: m.user.ID,
			})
		}
	}
	for _, a := range []Agent{o.MembersAgent, o.AdminsAgent} {
		c.Agents = append(c.Agents, schema.Agent{
			ID: a.ID, Organization: o.ID, Name: a.Name, Owner: a.Owner,
		})
		c.Credentials = append(c.Credentials, schema.Credential{
			Hash: schema.HashSecret(a.Token), Kind: schema.AgentSecret,
			Organization: o.ID, Agent: a.ID,
		})
	}
}

// secrets returns the texts that nobody but their owners may see.
func (o *Organization) secrets() []string {
	all := []string{o.MembersAgent.Token, o.AdminsAgent.Token}
	for _, u := range []User{o.Superadmin, o.Admin, o.Member, o.Former} {
		all = append(all, u.LoginToken, u.AppPassword, u.AccessToken)
	}
	return all
}

// marks returns what of the organization an answer may hold: its names, ids and texts.
func (o *Organization) marks() []string {
	return []string{
		o.Mark, o.ID.String(), o.MembersRecord.String(), o.AdminsRecord.String(),
		o.Superadmin.ID.String(), o.Admin.ID.String(), o.Member.ID.String(),
		o.MembersAgent.ID.String(), o.AdminsAgent.ID.String(),
	}
}

// usage returns events of an hour ago that every reading route has something to show of.
func (o *Organization) usage(now time.Time) []schema.Event {
	at := now.UTC().Add(-time.Hour).Truncate(time.Microsecond)
	event := func(id uuid.UUID, user User, agent uuid.UUID, usageType string) schema.Event {
		return schema.Event{
			Organization: o.ID, ID: id, Entry: schema.Record, Time: at,
			User: user.ID, Agent: agent, Service: o.Service(), APIName: o.Mark + "-api",
			Endpoint: "/" + o.Mark, Provider: o.Mark + "-provider", Model: o.Mark + "-model",
			ProviderKey: schema.ObfuscateKey("sk-" + o.Mark + "-key-0123456789"),
			Chargeable:  true,
			Measurements: []schema.Measurement{{
				UsageType: usageType, Quantity: schema.WholeQuantity(41),
			}},
		}
	}
	return []schema.Event{
		event(o.MembersRecord, o.Member, uuid.Nil, schema.Units),
		event(o.AdminsRecord, o.Admin, uuid.Nil, schema.Units),
		event(uuid.New(), o.Member, o.MembersAgent.ID, schema.Input),
		event(uuid.New(), o.Admin, o.AdminsAgent.ID, schema.Output),
		event(uuid.New(), o.Member, o.MembersAgent.ID, schema.Completions),
	}
}
