package ingest

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

func fullEvent() schema.Event {
	at := time.Date(2026, 11, 21, 10, 0, 0, 123456000, time.UTC)
	return schema.Event{
		Organization: organization, ID: uuid.New(), Revision: 3, Entry: schema.Reversal,
		Time: at, IngestTime: at.Add(-time.Second), User: uuid.New(), Agent: uuid.New(),
		Service: "transcription", Channel: "voice", APIName: "llm_query", Endpoint: "/chat",
		Provider: "OpenAI", ProviderEndpoint: "https://api.openai.com/v1",
		ProviderKey: "sk-…abcd", Model: "gpt-4o-mini", Chargeable: true, Purpose: "QA",
		Measurements: []schema.Measurement{
			{UsageType: "INPUT", Quantity: schema.WholeQuantity(math.MaxInt64),
				ProviderCost: schema.USDOf(schema.Int128{Hi: 1, Lo: 2}),
				BilledCost:   schema.USDOf(schema.Int128{Lo: 7}),
				Rate:         uuid.New(), Pricing: schema.Rated},
			{UsageType: "OUTPUT", Quantity: schema.WholeQuantity(-5), Pricing: schema.Given},
			{UsageType: "UNITS", Quantity: schema.QuantityOf(schema.Int128{Hi: -1, Lo: 1 << 63})},
			{UsageType: "MORE", Quantity: schema.QuantityOf(schema.Int128{Hi: 0, Lo: 1 << 63})},
		},
	}
}

func TestEventsSurviveEncoding(t *testing.T) {
	small := event("key")
	small.ID, small.Time, small.IngestTime, small.Entry = uuid.New(), time.Unix(0, 0).UTC(),
		time.Unix(1, 0).UTC(), schema.Record
	full := fullEvent()
	var data []byte
	for _, e := range []schema.Event{small, full} {
		data = appendEvent(data, &e)
	}
	r := reader{rest: string(data)}
	var got schema.Event
	for i, want := range []schema.Event{small, full} {
		keyed, err := r.event(&got)
		if err != nil {
			t.Fatal(err)
		}
		if keyed != (want.Key != "") {
			t.Errorf("event %d: keyed = %v", i, keyed)
		}
		want.Key = ""
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(schema.Quantity{}, schema.USD{})); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	if r.rest != "" {
		t.Errorf("%d bytes left", len(r.rest))
	}
}

func TestTruncatedEventsAreErrors(t *testing.T) {
	e := fullEvent()
	data := appendEvent(nil, &e)
	for n := range data {
		r := reader{rest: string(data[:n])}
		if _, err := r.event(&schema.Event{}); err == nil {
			t.Fatalf("the first %d of %d bytes are an event", n, len(data))
		}
	}
}

func FuzzReader(f *testing.F) {
	e := fullEvent()
	f.Add(string(appendEvent(nil, &e)))
	e = event("key")
	f.Add(string(appendEvent(nil, &e)))
	f.Fuzz(func(t *testing.T, data string) {
		r := reader{rest: data}
		var e schema.Event
		if _, err := r.event(&e); err != nil {
			return
		}
		again := reader{rest: string(appendEvent(nil, &e))}
		var second schema.Event
		if _, err := again.event(&second); err != nil {
			t.Fatalf("what was decoded does not decode again: %v", err)
		}
	})
}

func TestFlippedBitsAreNoticed(t *testing.T) {
	e := fullEvent()
	data := appendEvent(make([]byte, entryHeader), &e)
	sealEntry(data, 7, 1)
	if got, err := openEntry(data); err != nil || got.first != 7 || got.count != 1 {
		t.Fatalf("entry %+v, %v", got, err)
	}
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if _, err := openEntry(data); err == nil {
				t.Fatalf("bit %d of byte %d was flipped and nobody noticed", bit, i)
			}
			data[i] ^= 1 << bit
		}
	}
}
