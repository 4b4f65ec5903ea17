package tracing

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// stuck is a collector that answers when it is let go.
type stuck struct {
	begun, letGo chan struct{}
	err          error
}

func (s *stuck) ExportSpans(context.Context, []sdk.ReadOnlySpan) error {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.letGo
	return s.err
}

func (*stuck) Shutdown(context.Context) error { return nil }

// TestQueueIsBounded lets more spans end than may wait while the collector hangs: the rest is
// dropped and counted, what waited is counted as what became of it, and then there is room again.
// Without the bound the library dropped 488 of 5,097 in silence.
func TestQueueIsBounded(t *testing.T) {
	const more = 1000
	f := func(failure error, result string) {
		t.Helper()
		spans := NewSpans()
		var log strings.Builder
		collector := &stuck{make(chan struct{}, 1), make(chan struct{}), failure}
		traced := newTracing(Config{
			Spans: spans, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}, collector)
		tracer := traced.Tracer()
		end := func() {
			_, span := tracer.Start(t.Context(), "x")
			span.End()
		}
		for range queueMax + more {
			end()
		}
		if got := count(t, spans, "dropped"); got != more {
			t.Errorf("%v are dropped, want %d", got, more)
		}
		<-collector.begun
		close(collector.letGo)
		if err := traced.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		end()
		if err := traced.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, dropped := count(t, spans, result), count(t, spans, "dropped")
		if got != queueMax+1 || dropped != more {
			t.Errorf("%v are %s, %v dropped", got, result, dropped)
		}
		said := strings.Contains(log.String(), "traces are not taken")
		if said != (failure != nil) || strings.Contains(log.String(), "canary") {
			t.Errorf("logged: %s", log.String())
		}
	}
	f(nil, "exported")
	f(errors.New("POST https://canary"), "failed")
}

// count returns how many spans there are of a result.
func count(t *testing.T, spans *prometheus.CounterVec, result string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(spans); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result {
			return m.GetCounter().GetValue()
		}
	}
	t.Fatalf("nothing is counted as %s", result)
	return 0
}
