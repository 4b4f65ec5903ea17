package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// checkVerify asks the serve on this folder what came of its last verification: it is in its
// metrics, and nowhere in the database.
func (p *patient) checkVerify(ctx context.Context) error {
	every := p.config.verifyEvery
	if runs, err := p.serveRuns(); err != nil || !runs {
		return nil // checkLog has said so
	}
	if every == 0 {
		p.say("verify", warning, "run `meterhouse verify` now and then, or set --verify-every",
			"serve makes none by itself")
		return nil
	}
	v, err := p.verified(ctx)
	if err != nil {
		p.say("verify", warning, "give doctor the --listen or --admin-listen of serve",
			"serve cannot be asked for it: %v", err)
		return nil
	}
	switch late := p.now().Sub(v.success); {
	case v.differences > 0:
		p.say("verify", problem, "run `meterhouse verify`, and see docs/operations.md",
			"the last one found %d differences", v.differences)
	case v.run.IsZero():
		p.say("verify", fine, "", "this serve made none yet; of several nodes one does")
	case v.success.IsZero():
		p.say("verify", warning, "see the log of serve", "none could be done since serve started")
	case late > 3*every+10*time.Minute:
		p.say("verify", warning, "see the log of serve", "the last one without a difference ended at %s",
			v.success.UTC().Format(time.RFC3339))
	default:
		p.say("verify", fine, "", "no difference at %s", v.success.UTC().Format(time.RFC3339))
	}
	return nil
}

// verification is what a node's metrics say of it. Zero times: never since its start.
type verification struct {
	run, success time.Time
	differences  int
}

// verified reads the metrics of the node, by its admin listener where it has one: that one never
// speaks TLS, by a name that may not be this machine's.
func (p *patient) verified(ctx context.Context) (v verification, err error) {
	address := p.config.tls.scheme() + "://" + p.config.listen
	if p.config.admin != "" {
		address = "http://" + p.config.admin
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, hereURL(address)+"/metrics",
		http.NoBody)
	if err != nil {
		return v, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return v, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return v, fmt.Errorf("it answers %s", answer.Status)
	}
	lines := bufio.NewScanner(io.LimitReader(answer.Body, 16<<20))
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || value == 0 {
			continue
		}
		switch name {
		case "meterhouse_verify_last_run_timestamp_seconds":
			v.run = time.Unix(int64(value), 0)
		case "meterhouse_verify_last_success_timestamp_seconds":
			v.success = time.Unix(int64(value), 0)
		case "meterhouse_verify_differences":
			v.differences += int(value)
		}
	}
	return v, lines.Err()
}
