package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// oldestClickHouse is the oldest version whose tables deduplicate what comes through views as we
// rely on.
const oldestClickHouse = 26

// errorRemedies says what to do about what queries/doctor_errors.sql looks for.
var errorRemedies = map[string]string{
	"TOO_MANY_PARTS":                "give merges more processor or a faster disk",
	"MEMORY_LIMIT_EXCEEDED":         "give ClickHouse more memory, or ask for shorter ranges",
	"CANNOT_ALLOCATE_MEMORY":        "give ClickHouse more memory",
	"NOT_ENOUGH_SPACE":              "make room on its disks",
	"TOO_MANY_SIMULTANEOUS_QUERIES": "raise its max_concurrent_queries",
	"TABLE_IS_READ_ONLY":            "see whether its Keepers can be reached",
	"CHECKSUM_DOESNT_MATCH":         "check its disk: CHECK TABLE names what is damaged",
	"CORRUPTED_DATA":                "check its disk: CHECK TABLE names what is damaged",
}

const (
	clockApart = 2 * time.Second
	diskFree   = 10 // percent that a disk should have free: merges need room
)

func (p *patient) checkServer(ctx context.Context) error {
	before := p.now()
	h, err := p.queries.Health(ctx)
	if err != nil {
		return err
	}
	after := p.now()
	p.health = h
	major := 0
	_, _ = fmt.Sscanf(h.Version, "%d.", &major)
	if major < oldestClickHouse {
		p.say("clickhouse", problem, fmt.Sprintf("upgrade it to %d or newer", oldestClickHouse),
			"version %s is not supported", h.Version)
	} else {
		p.say("clickhouse", fine, "", "version %s answers", h.Version)
	}
	if h.ReadOnly {
		p.say("clickhouse", problem, "give the user a profile without readonly",
			"its user may not write or set what we rely on")
	}
	if h.Zone != "UTC" && h.Zone != "Etc/UTC" {
		p.say("clickhouse", fine, "", "its time zone is %s; ours are told with each question", h.Zone)
	}
	// It looked at its clock somewhen in between.
	if apart := max(before.Sub(h.Now), h.Now.Sub(after)); apart > clockApart {
		p.say("clock", problem, "run an NTP client on both", "ClickHouse's is %s apart",
			apart.Round(time.Millisecond))
	} else {
		p.say("clock", fine, "", "ClickHouse's agrees")
	}
	for _, d := range h.Disks {
		if d.Total > 0 && d.Free < d.Total/100*diskFree {
			p.say("disk", warning, "add room, or retire months", "ClickHouse's disk %s has %d of %d MiB "+
				"free", d.Name, d.Free>>20, d.Total>>20)
		}
	}
	for _, name := range h.NoWindow {
		p.say("tables", problem, "set its non_replicated_deduplication_window to 10000: ALTER TABLE … "+
			"MODIFY SETTING", "%s does not know a batch that is sent twice", name)
	}
	for _, m := range h.Mutations {
		p.say("tables", warning, "see system.mutations; KILL MUTATION ends it",
			"a rewriting of %s does not end (%s) %s", m.Table, m.ID, m.Problem)
	}
	for _, e := range h.Errors {
		p.say("errors", warning, errorRemedies[e.Name],
			"%s, last at %s, %d times since ClickHouse started",
			e.Name, e.Last.UTC().Format(time.RFC3339), e.Count)
	}
	for _, c := range h.Parts {
		p.say("tables", warning, "give merges more processor or a faster disk",
			"%s has %d parts in %s", c.Table, c.Parts, c.Partition)
	}
	return nil
}

func (p *patient) checkSchemaVersion(ctx context.Context) error {
	version, half, err := p.queries.SchemaVersion(ctx)
	newest := schema.Newest()
	switch {
	case queries.Missing(err):
		p.say("schema", problem, "run `meterhouse migrate`", "there is none")
		return nil
	case err != nil:
		return err
	case half, version < newest:
		p.say("schema", problem, "run `meterhouse migrate`", "has version %d, this program needs %d",
			version, newest)
	case version > newest:
		p.say("schema", warning, "end the upgrade: start the newer program here too",
			"has version %d of a newer program, this one knows %d", version, newest)
	default:
		p.say("schema", fine, "", "version %d", version)
	}
	return nil
}

// checkNodes looks for nodes that went without a word: nobody can hold the ledger before they are
// back, or said to be gone for good.
func (p *patient) checkNodes(ctx context.Context) error {
	s, err := p.queries.Standing(ctx)
	if queries.Missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	live := 0
	for _, n := range s.Nodes {
		switch {
		case n.Live(s.Now):
			live++
		case !n.Stopped:
			p.say("nodes", warning, "start it again, or say that it will never run again: see "+
				"docs/operations.md, several nodes", "node %s went at %s without a word", n.ID,
				n.SaidAt.UTC().Format(time.RFC3339))
		}
	}
	p.say("nodes", fine, "", "%d run", live)
	if s.Hold.ID != uuid.Nil {
		p.say("nodes", warning, "it ends by itself", "nothing is inserted until %s: a hold",
			s.Hold.Until.UTC().Format(time.RFC3339))
	}
	all, err := p.queries.Restores(ctx)
	if queries.Missing(err) {
		return nil
	}
	for _, r := range all {
		if r.ReportsAt.IsZero() {
			p.say("restore", warning, "run `meterhouse report --after-restore`",
				"the database was restored at %s, and Stripe is told nothing",
				r.RestoredAt.Format(time.RFC3339))
		}
	}
	return err
}

// soon is how long before its end a credential is worth a line.
const soon = 14 * 24 * time.Hour

func (p *patient) checkCatalog(ctx context.Context) error {
	c, err := p.queries.LoadCatalog(ctx)
	if queries.Missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	p.say("catalog", fine, "", "%d organizations, %d agents, %d credentials, %d rates",
		len(c.Organizations), len(c.Agents), len(c.Credentials), len(c.Rates))
	for _, o := range c.Organizations {
		if p.config.billing.key != "" && o.Stripe.Customer == "" {
			p.say("catalog", warning, "give it a stripe.customer", "%s is billed by nobody", o.Name)
		}
	}
	for _, k := range c.Credentials {
		if left := k.ExpiresAt.Sub(p.now()); !k.ExpiresAt.IsZero() && left < soon && left > -soon {
			p.say("catalog", warning, "make another and hand it out", "credential %s (%s) ends at %s",
				k.ID(), k.Name, k.ExpiresAt.Format(time.RFC3339))
		}
	}
	unpriced, err := p.queries.Unpriced(ctx, queries.UnpricedParams{
		From: p.now().Add(-7 * 24 * time.Hour), To: p.now(), Limit: 10,
	})
	for _, u := range unpriced {
		p.say("rates", warning, "add a rate, then `meterhouse reprice`",
			"%s of %q was used without a rate", u.UsageType, u.Model)
	}
	return err
}

// checkWork looks at when Stripe was last told.
func (p *patient) checkWork(ctx context.Context) error {
	if p.config.billing.key == "" || p.config.billing.interval == 0 {
		return nil
	}
	runs, err := p.queries.ReportRuns(ctx, 1)
	if queries.Missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	switch {
	case len(runs) == 0:
		p.say("reports", warning, "see the log of serve", "Stripe was never told")
	case p.now().Sub(runs[0].EndedAt) > 3*p.config.billing.interval+10*time.Minute:
		p.say("reports", warning, "see the log of serve", "Stripe was last told at %s",
			runs[0].EndedAt.Format(time.RFC3339))
	default:
		p.say("reports", fine, "", "%s", strings.TrimSpace("the last pass ended "+
			fmt.Sprint(runs[0].End)+" "+runs[0].Detail))
	}
	return nil
}
