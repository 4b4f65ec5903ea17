package server_test

import (
	"time"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// reportCalls are about what Stripe is told, and what somebody who is not Stripe tells.
func reportCalls(o *dialecttest.Organization, all map[string][]call) {
	all["GET /v1/system"] = []call{{path: "/v1/system", crosses: true}}
	all["POST /v1/report/run"] = []call{{path: "/v1/report/run", crosses: true}}
	query := "?organization_id=" + o.ID.String()
	for _, path := range []string{"/v1/report/slots", "/v1/report/estimate"} {
		all["GET "+path] = []call{
			{path: path, answers: true, crosses: true}, {path: path + query, crosses: true},
		}
	}
	hour := time.Now().UTC().Format("2006-01-02T15")
	for _, meter := range []string{"~", o.Meter()} {
		const route = "GET /v1/report/slots/:organization_id/:meter/:hour"
		all[route] = append(all[route], call{
			path: "/v1/report/slots/" + o.ID.String() + "/" + meter + "/" + hour, crosses: true,
		})
	}
	const webhook = "/webhooks/stripe"
	all["POST "+webhook] = []call{
		{path: webhook, body: `{"id":"evt_1","object":"event","type":"invoice.created"}`},
	}
}
