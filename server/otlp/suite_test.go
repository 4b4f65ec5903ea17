package otlp_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// partly is the outcome of a 200 that says that spans were rejected.
const partly = 422

func TestSuite(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{{
			Name: "POST /v1/traces",
			Kinds: []schema.CredentialKind{
				schema.AccessToken, schema.AppPassword, schema.AgentSecret,
			},
			Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
				return post(s, "")
			},
			Want: 200,
			Body: body,
		}},
		Access:   rules,
		Unknown:  "/v1/traces/nothing",
		Outcome:  outcome,
		Envelope: envelope,
		Rejected: []int{400, partly},
		Empty:    200,
	})
}

// body is a request of one span, of a trace of its own.
func body(quantity, text string) string { return spanWith(quantity, text, "") }

func spanWith(quantity, text, more string) string {
	trace := uuid.New()
	return fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%q,"spanId":%q,`+
		`"name":"chat","endTimeUnixNano":"%d","attributes":[`+
		`{"key":"gen_ai.request.model","value":{"stringValue":%q}},%s`+
		`{"key":"gen_ai.usage.input_tokens","value":{"intValue":%s}}]}]}]}]}`,
		hex.EncodeToString(trace[:]), hex.EncodeToString(trace[8:]), time.Now().UnixNano(),
		text, more, quantity)
}

func post(s dialecttest.Secret, body string) dialecttest.Request {
	r := dialecttest.Request{Method: "POST", Path: "/v1/traces", Body: body}
	r = r.With("Content-Type", "application/json")
	switch {
	case s.Text == "":
		return r
	case s.Kind == schema.AgentSecret:
		return r.With("Agent-Secret-Key", s.Text)
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// rules are whose usage a caller may write: everybody the own, and an agent's of the organization.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	row := func(who string, s dialecttest.Secret, name, text string, want int) dialecttest.Access {
		a := dialecttest.Access{Who: who, Want: want, Request: post(s, spanWith("1", "x",
			fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}},`, name, text)))}
		if want == partly {
			a.Shows = []string{name + ": unknown agent"}
		}
		return a
	}
	o, other := h.Acme, h.Globex
	member, admin := o.Member.Secret(schema.AccessToken), o.Admin.Secret(schema.AccessToken)
	const agent, name, user = "gen_ai.agent.id", "gen_ai.agent.name", "enduser.id"
	theirs := other.MembersAgent
	return []dialecttest.Access{
		row("a member, own agent", member, agent, o.MembersAgent.ID.String(), 200),
		row("a member, a colleague's agent", member, agent, o.AdminsAgent.ID.String(), 200),
		row("an admin, a stranger's agent", admin, agent, theirs.ID.String(), partly),
		row("an admin, nobody's agent", admin, agent, uuid.NewString(), partly),
		// Whatever else its spans say, they are the agent's own: neighbours looks for others'.
		row("an agent, a stranger's agent", o.MembersAgent.Secret(), agent, theirs.ID.String(), 200),
		row("an admin, a stranger's agent by name", admin, name, theirs.Name, 200),
		row("an admin, a member", admin, user, o.Member.ID.String(), 200),
		row("an admin, a stranger", admin, user, other.Member.ID.String(), 200),
		row("a member, a stranger", member, user, other.Member.ID.String(), 200),
	}
}

// outcome tells a 200 of which something was rejected from one of which nothing was.
func outcome(r dialecttest.Response) int {
	if r.Status == 200 && strings.Contains(string(r.Body), "rejectedSpans") {
		return partly
	}
	return r.Status
}

func envelope(r dialecttest.Response) error {
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("media type %q", got)
	}
	if r.Status == 200 {
		var p struct {
			PartialSuccess struct {
				RejectedSpans json.Number
				ErrorMessage  string
			}
		}
		err := json.Unmarshal(r.Body, &p)
		if err == nil && (p.PartialSuccess.RejectedSpans != "1" || p.PartialSuccess.ErrorMessage == "") {
			err = fmt.Errorf("not one rejected span with its reason")
		}
		return err
	}
	var members map[string]any
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	code, _ := members["code"].(float64)
	message, _ := members["message"].(string)
	if len(members) != 2 || code < 2 || code > 16 || message == "" {
		return fmt.Errorf("not a google.rpc.Status")
	}
	if r.Status == 401 && r.Header.Get("WWW-Authenticate") != "Bearer" {
		return fmt.Errorf("no challenge")
	}
	return nil
}
