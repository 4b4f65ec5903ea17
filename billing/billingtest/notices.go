package billingtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Notice is an event that Stripe posts to a webhook.
type Notice struct {
	ID   string
	Type string
	At   time.Time // from when on it is posted
	Body []byte
}

// problem is a meter event that was accepted and does not count.
type problem struct{ code, meter, identifier string }

// Notices returns the events that there are since the last call, the oldest first. Meter events
// that do not count are reported in it, some of them by name.
func (s *Stripe) Notices() []Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	s.settle(now)
	s.reportProblems(now)
	all := s.notices
	s.notices = nil
	return all
}

// Sign returns the Stripe-Signature of a body that is posted at a time.
func Sign(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// tell makes the event of an invoice, as it is then.
func (s *Stripe) tell(i *invoice, kind string, at time.Time) {
	id := fmt.Sprintf("evt_%s_%s", strings.ReplaceAll(kind, ".", "_"), i.id)
	s.notice(id, kind, at, map[string]any{
		"id": id, "object": "event", "type": kind, "api_version": "2023-10-16",
		"created": at.Unix(), "livemode": false, "pending_webhooks": 1,
		"request": map[string]any{"id": nil, "idempotency_key": nil},
		"data":    map[string]any{"object": s.show(i)},
	})
}

func (s *Stripe) notice(id, kind string, at time.Time, contents any) {
	body, err := json.Marshal(contents)
	if err != nil {
		panic(err) // of our own making
	}
	s.notices = append(s.notices, Notice{id, kind, at, body})
}

// report notes an event that does not count.
func (s *Stripe) report(code, meter, identifier string) {
	s.problems = append(s.problems, problem{code, meter, identifier})
}

// reportProblems makes a thin event of the problems of each meter and code since the last time. It
// names samples only, and says what is wrong only when it is fetched.
func (s *Stripe) reportProblems(now time.Time) {
	type group struct{ code, meter string }
	var order []group
	groups := map[group][]problem{}
	for _, p := range s.problems {
		g := group{p.code, p.meter}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], p)
	}
	s.problems = nil
	for _, g := range order {
		all := groups[g]
		var samples []any
		for _, p := range all[:min(len(all), s.options.Samples)] {
			samples = append(samples, map[string]any{
				"error_message": "Customer or meter not found: " + g.code,
				"request":       map[string]any{"identifier": p.identifier},
			})
		}
		id := fmt.Sprintf("evt_test_thin%d", len(s.reports)+1)
		kind := "v1.billing.meter.error_report_triggered"
		if g.code == "no_meter" {
			kind = "v1.billing.meter.no_meter_found"
		}
		event := map[string]any{
			"id": id, "object": "v2.core.event", "type": kind, "livemode": false,
			"created": now.Format(time.RFC3339Nano),
		}
		if g.code != "no_meter" {
			event["related_object"] = map[string]any{
				"id": MeterID(g.meter), "type": "billing.meter",
				"url": "/v1/billing/meters/" + MeterID(g.meter),
			}
		}
		s.notice(id, kind, now, event)
		event["data"] = map[string]any{
			"developer_message_summary": fmt.Sprintf("There are %d invalid events", len(all)),
			"validation_start":          now.Add(-15 * time.Second).Format(time.RFC3339Nano),
			"validation_end":            now.Format(time.RFC3339Nano),
			"reason": map[string]any{
				"error_count": len(all),
				"error_types": []any{map[string]any{
					"code": g.code, "error_count": len(all), "sample_errors": samples,
				}},
			},
		}
		body, err := json.Marshal(event)
		if err != nil {
			panic(err) // of our own making
		}
		s.reports[id] = string(body)
	}
}

// thin answers what a thin event is about. Versions before v2 do not have it.
func (s *Stripe) thin(c *call, id string) answer {
	body, ok := s.reports[id]
	if !ok || c.version < "2024-09-30" {
		return missing("event", id)
	}
	return answer{status: 200, body: []byte(body)}
}
