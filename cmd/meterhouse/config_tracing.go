package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/tracing"
)

// tracingWanted reports whether OpenTelemetry's own variables name a collector. What is asked for
// and cannot be had is an error.
func tracingWanted() (bool, error) {
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	const tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	const tracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if cmp.Or(os.Getenv(tracesEndpoint), os.Getenv(endpoint)) == "" ||
		os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch os.Getenv("OTEL_TRACES_EXPORTER") {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	}
	switch cmp.Or(os.Getenv(tracesProtocol), os.Getenv(protocol)) {
	case "", "http/protobuf":
		return true, nil
	}
	return false, fmt.Errorf("%s must be http/protobuf: no other is spoken", protocol)
}

// startTracing sends traces where there is a collector.
func (n *node) startTracing(ctx context.Context, metrics prometheus.Registerer) error {
	spans := tracing.NewSpans()
	metrics.MustRegister(spans)
	wanted, err := tracingWanted()
	if err != nil || !wanted {
		return err
	}
	n.tracing, err = tracing.Open(ctx, tracing.Config{
		Version: versionText(), Instance: uuid.NewString(), Logger: n.logger, Spans: spans,
	})
	if err != nil {
		return err
	}
	n.database.queries.Trace(n.tracing.Tracer())
	return nil
}
