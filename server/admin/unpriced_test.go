package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// What has no rate is seen until it has one; what has one is not told.
func TestUnpricedUsageIsTold(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	c.do("POST", "text_model_costs", `{"model":"priced","usage_type":"INPUT","from":"2026-01-01",`+
		`"provider_usd_per_million":1,"billed_usd_per_million":1}`, 201)
	post := dialecttest.Request{
		Method: "POST", Path: "/v1/events",
		Body: `[{"usage":{"INPUT":1.5,"OUTPUT":2},"model":"priced"},
			{"usage":{"INPUT":3},"model":"priced"},
			{"usage":{"OUTPUT":4},"model":"priced"}]`,
	}
	if got := h.Do(t, post.With("Authorization", "Bearer "+h.Acme.Admin.AccessToken,
		"Content-Type", "application/json")); got.Status != http.StatusCreated {
		t.Fatal(got)
	}
	h.Flush(t)
	mine := "organization_id=" + h.Acme.ID.String()
	now := time.Now().UTC()
	answer := c.do("GET", "unpriced?limit=1&"+mine+"&from="+now.Format(time.RFC3339)+
		"&to="+now.Add(time.Minute).Format(time.RFC3339), "", 200)
	want := map[string]any{
		"organization_id": h.Acme.ID.String(), "model": "priced", "usage_type": "OUTPUT",
		"measurements": float64(2), "quantity": "6",
		"first_day": now.Format(time.DateOnly), "last_day": now.Format(time.DateOnly),
	}
	item := answer["items"].([]any)[0].(map[string]any)
	for member, value := range want {
		if item[member] != value {
			t.Errorf("%s is %v, want %v", member, item[member], value)
		}
	}
	if from := answer["from"].(string); !strings.HasSuffix(from, ":00:00Z") {
		t.Errorf("from %s is no whole hour", from)
	}
	if answer := c.do("GET", "unpriced?"+mine, "", 200); answer["more"] != false ||
		len(answer["items"].([]any)) < 2 {
		t.Errorf("the last 30 days: %v", answer)
	}
	if answer := c.do("GET", "unpriced?limit=1&"+mine, "", 200); answer["more"] != true {
		t.Errorf("one of several: %v", answer)
	}
	for _, query := range []string{
		"from=2026-01-02&to=2026-01-01", "from=2026-01-01&to=2026-01-01", "from=x", "to=1969-01-01",
		"from=2024-01-01&to=2026-01-01", "limit=0", "cursor=YQ", "to=2026-01-01T00:00:00",
	} {
		c.do("GET", "unpriced?"+query, "", 400)
	}
}
