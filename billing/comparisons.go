package billing

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// equalShown is how many comparisons without a difference a report lists; more are counted only.
const equalShown = 20

// RenderComparisons writes what a reconciliation found as a page of text: what differs, with its
// days and hours and what to do, what could not be compared and why, and what it comes to. The
// error is w's.
func RenderComparisons(w io.Writer, all []schema.Comparison) error {
	t := summarize(all)
	var p page
	if t.equal > 0 && t.equal <= equalShown {
		p.line("Equal")
		p.comparisons(all, func(c schema.Comparison) bool {
			return !c.Part && !c.Skipped && c.Difference() == 0
		})
		p.line("")
	}
	if t.differ > 0 {
		p.line("Different")
		p.comparisons(all, func(c schema.Comparison) bool {
			return !c.Skipped && c.Difference() != 0
		})
		p.line("")
	}
	if t.skipped > 0 {
		p.line("Not compared")
		for _, c := range all {
			if c.Skipped {
				p.line("  organization %s, meter %s, %s", c.Organization, c.Meter, rangeText(c))
				p.line("    %s", c.Detail)
			}
		}
		p.line("")
	}
	p.line("%d compared: %d equal, %d different by %s units in all; %d not compared.",
		t.equal+t.differ, t.equal, t.differ,
		decimal(strconv.FormatUint(t.units, 10)), t.skipped)
	if t.repaired > 0 {
		p.line("%d slots will be told again.", t.repaired)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// comparisons writes those that are chosen, by organization and meter.
func (p *page) comparisons(all []schema.Comparison, chosen func(schema.Comparison) bool) {
	header := []string{"from", "to", "billable", "told", "Stripe has", "difference", "told again"}
	head, rows, last := "", [][]string{}, schema.Comparison{}
	var advice []string          // each once, in order
	times := map[string]int{}    // how often
	first := map[string]string{} // of what range first
	flush := func() {
		if len(rows) == 0 {
			return
		}
		p.line("  %s", head)
		p.table("llrrrrr", append([][]string{header}, rows...))
		for _, text := range advice {
			if n := times[text]; n > 1 {
				first[text] += fmt.Sprintf(" and %d more", n-1)
			}
			p.line("    %s: %s", first[text], text)
		}
		rows, advice = nil, nil
		clear(times)
		clear(first)
	}
	for _, c := range all {
		if !chosen(c) {
			continue
		}
		if c.Organization != last.Organization || c.Meter != last.Meter {
			flush()
			head = fmt.Sprintf("organization %s, meter %s", c.Organization, c.Meter)
			last = c
		}
		from := hourOf(c.From)
		if c.Part {
			from = "  " + from
		}
		rows = append(rows, []string{
			from, hourOf(c.To), integer(c.Ledger), integer(c.Reported), integer(c.Stripe),
			differenceText(c), strconv.FormatUint(uint64(c.Repaired), 10),
		})
		if c.Detail != "" {
			if times[c.Detail]++; times[c.Detail] == 1 {
				advice, first[c.Detail] = append(advice, c.Detail), rangeText(c)
			}
		}
	}
	flush()
}

// rangeText names what was compared, an hour by its start.
func rangeText(c schema.Comparison) string {
	switch {
	case c.From.IsZero():
		return "of no known time"
	case c.To.Sub(c.From) == time.Hour:
		return hourOf(c.From)
	}
	return hourOf(c.From) + " to " + hourOf(c.To)
}

// differenceText shows what Stripe has more, or less, than it was told.
func differenceText(c schema.Comparison) string {
	if c.Difference() > 0 {
		return "+" + integer(c.Difference())
	}
	return integer(c.Difference())
}
