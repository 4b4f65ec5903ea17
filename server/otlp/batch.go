package otlp

import (
	"net"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// batch turns one request's spans into events.
type batch struct {
	caller   access.Caller
	snapshot *access.Snapshot

	events   []schema.Event
	rejected []rejection
	count    int // of spans with usage of their own: each is an event, and may be rejected
}

// rejection is why the usage of a span was not taken.
type rejection struct {
	span string // its id in hexadecimal; empty when it has none
	err  *schema.Error
}

// add takes a span's usage, if it has any, as an event or as a rejection. The error is TooLarge:
// more usage than a request may have.
func (b *batch) add(s *span, resource *facts) error {
	if !s.facts.hasUsage() {
		return nil
	}
	e, problem := b.event(s, resource)
	if problem == nil && len(e.Measurements) == 0 {
		return nil // the sum of others, or nothing
	}
	if b.count++; b.count > schema.RequestEventsMax {
		return schema.Errorf(schema.TooLarge, "",
			"a request must have at most %d spans with usage", schema.RequestEventsMax)
	}
	if problem != nil {
		name, _, _ := s.ids()
		b.rejected = append(b.rejected, rejection{name, problem})
		return nil
	}
	b.events = append(b.events, e)
	return nil
}

// event makes the event of a span's usage. One without measurements is none.
func (b *batch) event(s *span, resource *facts) (schema.Event, *schema.Error) {
	var e schema.Event
	counts, problem := s.counts()
	if problem != nil || !counts {
		return e, problem
	}
	if e.Measurements, problem = s.facts.measurements(); problem != nil || len(e.Measurements) == 0 {
		return e, problem
	}
	if _, e.Key, problem = s.ids(); problem != nil {
		return e, problem
	}
	if e.Time, problem = s.endTime(); problem != nil {
		return e, problem
	}
	e.Organization, e.Entry = b.caller.Organization, schema.Record
	e.ID = schema.EventID(e.Organization, e.Key)
	for _, fill := range [...]func(*schema.Event, *span, *facts) *schema.Error{
		b.describe, b.attribute, b.mark,
	} {
		if problem = fill(&e, s, resource); problem != nil {
			return schema.Event{}, problem
		}
	}
	return e, nil
}

// counts reports whether a span is a call to a model, and not what stands around some.
func (s *span) counts() (bool, *schema.Error) {
	f := &s.facts
	if f.twice != "" {
		return false, schema.Errorf(schema.Invalid, f.twice, "must be given once")
	}
	name, problem := f.text(operation)
	if problem != nil || name == "" {
		return problem == nil, problem
	}
	counts, known := counting[name]
	if !known {
		return false, f.wrong(operation, "is not an operation whose tokens are known to be its own:"+
			" use chat, text_completion, generate_content or embeddings")
	}
	return counts, nil
}

// describe fills in what was called, and from where.
func (b *batch) describe(e *schema.Event, s *span, resource *facts) *schema.Error {
	var requested, responded, address string
	for _, t := range [...]struct {
		to   *string
		from *facts
		m    member
	}{
		{&requested, &s.facts, requestModel},
		{&responded, &s.facts, responseModel},
		{&e.Provider, &s.facts, provider},
		{&address, &s.facts, serverAddress},
		{&e.Endpoint, &s.facts, operation},
		{&e.APIName, resource, serviceName},
	} {
		var problem *schema.Error
		if *t.to, problem = t.from.text(t.m); problem != nil {
			return problem
		}
	}
	if e.Endpoint == "" {
		e.Endpoint = s.name
	}
	e.Model = b.model(e, requested, responded)
	e.ProviderEndpoint = address
	if port := s.facts.values[serverPort]; address != "" && port.text != "" {
		e.ProviderEndpoint = net.JoinHostPort(address, port.text)
	}
	return nil
}

// model returns the name an event is priced by: the one that was asked for, as price lists have it,
// unless only the one that answered has a rate.
func (b *batch) model(e *schema.Event, requested, responded string) string {
	if requested == "" || !b.rated(e, requested) && b.rated(e, responded) {
		return responded
	}
	return requested
}

func (b *batch) rated(e *schema.Event, model string) bool {
	for i := range e.Measurements {
		if _, ok := b.snapshot.Rate(model, e.Measurements[i].UsageType, e.Time); ok {
			return true
		}
	}
	return false
}

// attribute fills in whose usage it is.
func (b *batch) attribute(e *schema.Event, s *span, resource *facts) *schema.Error {
	e.User = b.caller.User
	user, problem := s.facts.text(userID)
	if problem != nil {
		return problem
	}
	// Applications put ids of their own there: only a member's, from who may name one, is ours.
	if id, ok := parseID(user); ok && b.caller.Role >= schema.Admin &&
		b.snapshot.Role(e.Organization, id) != 0 {
		e.User = id
	}
	if b.caller.Agent != uuid.Nil {
		e.Agent = b.caller.Agent
		return nil
	}
	from := &s.facts
	if !from.has(agentID) && !from.has(agentName) {
		from = resource
	}
	e.Agent, problem = b.agent(from)
	return problem
}

// agent returns the agent that a span or its resource names; zero when it names none of ours.
func (b *batch) agent(from *facts) (uuid.UUID, *schema.Error) {
	text, problem := from.text(agentID)
	if problem != nil {
		return uuid.Nil, problem
	}
	if id, ok := parseID(text); ok {
		agent, known := b.snapshot.Agent(id)
		if !known || agent.Organization != b.caller.Organization {
			return uuid.Nil, from.wrong(agentID, "unknown agent")
		}
		return id, nil
	}
	name, problem := from.text(agentName)
	if problem != nil {
		return uuid.Nil, problem
	}
	agent, _ := b.snapshot.AgentNamed(b.caller.Organization, name)
	return agent.ID, nil
}

// parseID reads a UUID in its form of 36 characters.
func parseID(s string) (uuid.UUID, bool) {
	const canonical = 36
	if len(s) != canonical {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// mark fills in what only our own attributes say.
func (b *batch) mark(e *schema.Event, s *span, resource *facts) *schema.Error {
	of := func(m member) *facts {
		if s.facts.has(m) {
			return &s.facts
		}
		return resource
	}
	var problem *schema.Error
	if e.Purpose, problem = of(purpose).text(purpose); problem != nil {
		return problem
	}
	if e.Channel, problem = of(channel).text(channel); problem != nil {
		return problem
	}
	f := of(chargeable)
	switch v := f.values[chargeable]; {
	case v.is == absent, v.is != otherValue && v.text == "true":
		e.Chargeable = true
	case v.is != otherValue && v.text == "false":
	default:
		return f.wrong(chargeable, "must be true or false")
	}
	return nil
}

// ourFields are the attributes that texts of an event come from, where the ledger refuses one.
var ourFields = map[string]string{
	"time":              "end_time_unix_nano",
	"api_name":          "service.name",
	"endpoint":          "gen_ai.operation.name or the span's name",
	"provider":          "gen_ai.provider.name",
	"provider_endpoint": "server.address",
	"model":             "gen_ai.request.model or gen_ai.response.model",
	"purpose":           "meterhouse.purpose",
	"channel":           "meterhouse.channel",
}

// inOurWords returns an error of the ledger's with the field as the client named it.
func inOurWords(err *schema.Error) *schema.Error {
	if name := ourFields[err.Field]; name != "" {
		named := *err
		named.Field = name
		return &named
	}
	return err
}
