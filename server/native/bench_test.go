package native

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

const (
	smallEvent = `{"usage":{"INPUT":1200}}`
	agentEvent = `{"agent_id":"12345678-1234-4234-8234-123456789012","model":"gpt-4o-mini",` +
		`"usage":{"INPUT":1200}}`
	fullEvent = `{"id":"req-8841","time":"2026-11-21T10:00:00.123Z",` +
		`"agent_id":"12345678-1234-4234-8234-123456789012",` +
		`"user_id":"7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11",` +
		`"service":"transcription","channel":"voice","api_name":"llm_query","endpoint":"/chat",` +
		`"provider":"OpenAI","provider_endpoint":"https://api.openai.com/v1",` +
		`"provider_key":"sk-live-abcdefgh","model":"gpt-4o-mini","chargeable":true,"purpose":"QA",` +
		`"usage":{"INPUT":1200,"CACHED_INPUT":800,"OUTPUT":"350"},"cost_usd":"0.0043"}`
)

func BenchmarkDecode(b *testing.B) {
	f := func(name, event string, n int, form form) {
		body := event
		switch {
		case form == asLines:
			body = strings.Repeat(event+"\n", n)
		case n > 1:
			body = "[" + strings.TrimSuffix(strings.Repeat(event+",", n), ",") + "]"
		}
		o := adas(b)
		// Ids are made elsewhere: this measures the reading of a body.
		o.newID = func() uuid.UUID { return uuid.UUID{1} }
		b.Run(name, func(b *testing.B) {
			var batch batch
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			start := time.Now()
			for b.Loop() {
				if err := batch.decode(body, form, o); err != nil || len(batch.events) != n {
					b.Fatal(err, len(batch.events))
				}
				batch.reset()
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
	f("small/one", smallEvent, 1, asJSON)
	f("small/array", smallEvent, 1000, asJSON)
	f("small/lines", smallEvent, 1000, asLines)
	f("agent/array", agentEvent, 1000, asJSON)
	f("full/one", fullEvent, 1, asJSON)
	f("full/array", fullEvent, 1000, asJSON)
	f("full/lines", fullEvent, 1000, asLines)
	cloud := cloudEventOf(`"time":"2026-11-21T10:00:00.123Z","id":"A234-1234-1234"`, agentEvent)
	f("cloud/one", cloud, 1, asCloudEvent)
	f("cloud/array", cloud, 1000, asCloudEvents)
}
