package billing

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// RenderExplanation writes an explanation as a page of text: the number, what it is made of, how it
// was rounded, what was carried, and what Stripe was told and answered. The error is w's.
func RenderExplanation(w io.Writer, e schema.Explanation) error {
	p := page{e: e, unit: "micro-USD"}
	if e.Report.Unit == schema.WholeUnits {
		p.unit = "units"
	}
	p.head()
	p.usage()
	p.number()
	p.carries()
	p.revisions()
	p.events()
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page is an explanation on its way to text.
type page struct {
	e    schema.Explanation
	unit string
	b    strings.Builder
}

func (p *page) line(format string, args ...any) {
	p.b.WriteString(strings.TrimRight(visible(fmt.Sprintf(format, args...)), " ") + "\n")
}

// table writes rows whose cells are aligned, those of columns named in right on their right side.
func (p *page) table(right string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		text := " "
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right[i] == 'r' {
				text += " " + space + cell
			} else {
				text += " " + cell + space
			}
			if i < len(row)-1 {
				text += " "
			}
		}
		p.line("%s", text)
	}
}

func (p *page) head() {
	r := p.e.Report
	meter, counts := r.Slot.Meter, "micro-USD: millionths of a US dollar of billed cost"
	if r.Unit == schema.WholeUnits {
		counts = "whole units of the quantity"
	}
	if meter == "" {
		meter = "none"
	}
	p.line("Slot %s", r.Slot)
	p.table("ll", [][]string{
		{"organization", r.Slot.Organization.String()},
		{"meter", meter + ", in " + counts},
		{"hour", hourOf(r.Slot.Start) + " to " + r.Slot.End().UTC().Format("15:04") + " UTC"},
		{"billable", integer(r.Billable) + " " + p.unit},
		{"Stripe has", integer(r.Reported) + " " + p.unit},
		{"state", stateText(r)},
	})
	if r.Detail != "" {
		p.line("  %s.", r.Detail)
	}
}

// stateText says what a state means.
func stateText(r schema.SlotReport) string {
	meaning := map[schema.SlotState]string{
		schema.SlotOpen:     "its hour may still get usage; Stripe is told when it is over",
		schema.SlotPending:  "Stripe is to be told, or to be told again",
		schema.SlotSent:     "Stripe was told and has not said that it has it",
		schema.SlotAcked:    "Stripe has what is billable",
		schema.SlotRejected: "Stripe does not have it",
		schema.SlotUnmapped: "nobody is told",
	}[r.State]
	if r.State == schema.SlotAcked && r.Reported != r.Billable {
		meaning = "what Stripe lacks is accounted for elsewhere"
	}
	text := string(r.State) + ": " + meaning
	if r.Closed {
		text += "; the period is invoiced"
	}
	return text
}

func (p *page) usage() {
	p.line("")
	p.line("What it is made of")
	if len(p.e.Usage) == 0 {
		p.line("  No usage of its own.")
		return
	}
	rows := [][]string{{
		"usage type", "model", "events", "quantity", "USD per million", "billed USD", "priced by",
	}}
	var cost schema.USD
	unpriced := int64(0)
	for _, u := range p.e.Usage {
		price, by := p.price(u)
		rows = append(rows, []string{
			u.UsageType, orNone(u.Model), integer(u.Events), decimal(u.Quantity.String()),
			price, decimal(u.BilledCost.String()), by,
		})
		cost = cost.Add(u.BilledCost)
		if u.Pricing == schema.Unpriced {
			unpriced += u.Measurements
		}
	}
	rows = append(rows, []string{"together", "", "", "", "", decimal(cost.String()), ""})
	p.table("llrrrrl", rows)
	p.line("  An event costs quantity × price / 1,000,000, rounded half to even at the twelfth")
	p.line("  decimal of a dollar when it is priced. A correction takes back what it replaces.")
	if unpriced != 0 && p.e.Report.Unit == schema.MicroUSD {
		p.line("  Measurements without a rate: %s. Their cost is not in the number until the catalog",
			integer(unpriced))
		p.line("  has a rate and `meterhouse reprice` ran.")
	}
}

// price says what a million units cost, and who says so.
func (p *page) price(u schema.SlotUsage) (price, by string) {
	switch u.Pricing {
	case schema.Unpriced:
		return "-", "no rate"
	case schema.Given:
		return "-", "the client"
	}
	for _, r := range p.e.Rates {
		if r.ID == u.Rate {
			return decimal(r.BilledUSDPerMillion.String()), "rate " + r.ID.String() +
				", in force from " + moment(r.From)
		}
	}
	return "-", "rate " + u.Rate.String() + ", no longer in the catalog"
}

func (p *page) number() {
	p.line("")
	p.line("The number")
	exact := "sum of the billed costs, in micro-USD"
	if p.e.Report.Unit == schema.WholeUnits {
		exact = "sum of the quantities"
	}
	rows := [][]string{
		{exact, decimal(p.e.Exact)},
		{"rounded once, half to even", integer(p.e.Rounded)},
	}
	if in := p.e.Report.CarriedIn; in != 0 {
		rows = append(rows, []string{"carried into it", signed(in)})
	}
	rows = append(rows, []string{"billable", integer(p.e.Report.Billable)})
	p.table("lr", rows)
	if p.e.Rounded+p.e.Report.CarriedIn != p.e.Report.Billable {
		p.line("  The rollup says otherwise: usage came in between, or `meterhouse verify` says more.")
	}
}

func (p *page) carries() {
	if len(p.e.Carries) == 0 {
		return
	}
	p.line("")
	p.line("Carries")
	start := p.e.Report.Slot.Start
	for _, c := range p.e.Carries {
		if c.To.Equal(start) {
			p.line("  %s into this slot from %s, number %d, at %s", signed(c.Units),
				hourOf(c.From), c.Number, moment(c.CreatedAt))
		} else {
			p.line("  %s out of what starts here into %s, number %d, at %s", signed(c.Units),
				hourOf(c.To), c.Number, moment(c.CreatedAt))
		}
		if c.Reason != "" {
			p.line("    %s", c.Reason)
		}
	}
}

func (p *page) revisions() {
	p.line("")
	p.line("What Stripe was told")
	if len(p.e.Revisions) == 0 {
		p.line("  Nothing.")
	}
	for _, r := range p.e.Revisions {
		p.line("  Revision %d, fixed at %s, %s: %s", r.Revision, moment(r.CreatedAt), r.Mode,
			sentText(r))
		to := "customer " + orNone(r.Customer)
		if r.Mode == schema.UsageRecord {
			to += ", subscription item " + orNone(r.SubscriptionItem)
		}
		p.line("    to %s, as %s", to, r.Identifier)
		rows := [][]string{}
		for _, o := range p.e.Outcomes {
			if o.Revision == r.Revision {
				rows = append(rows, []string{
					moment(o.At), o.Verdict.String(), httpText(o), orNone(o.RequestID),
					orNone(o.Detail),
				})
			}
		}
		var answers page
		answers.table("lllll", rows)
		p.b.WriteString(indented(answers.b.String()))
		p.line("    %s", verdictText(r.Verdict))
	}
}

func sentText(r schema.Revision) string {
	if r.Mode == schema.Raw {
		return "total " + integer(r.Total) + ", so " + signed(r.Send) + " is sent"
	}
	return "total " + integer(r.Total)
}

// verdictText says what a revision's state means.
func verdictText(v schema.Verdict) string {
	switch v {
	case schema.NotSent:
		return "No answer is known: it may be on its way."
	case schema.Unknown, schema.Retry, schema.Rotate:
		return "It is sent again, the same number under the same name."
	case schema.Abandoned:
		return "Stripe does not have it, and it is not sent again."
	case schema.Rejected:
		return "Stripe refused it."
	case schema.KeyConflict:
		return "Stripe had another number under its key, which must never be."
	case schema.Accepted, schema.Duplicate, schema.Settled:
		return "Stripe has it."
	case schema.Refused:
		return "Stripe took it, and reported later that it does not count."
	}
	return "Stripe took it, and its own sums do not show it."
}

func (p *page) events() {
	if len(p.e.Events) == 0 {
		return
	}
	p.line("")
	if p.e.More {
		p.line("The first %d of its entries in the ledger", len(p.e.Events))
	} else {
		p.line("Its entries in the ledger")
	}
	rows := [][]string{{
		"time", "event", "revision", "usage type", "model", "quantity", "billed USD",
	}}
	for _, e := range p.e.Events {
		revision := strconv.FormatUint(uint64(e.Revision), 10)
		if e.Reversal {
			revision += " taken back"
		}
		rows = append(rows, []string{
			e.Time.UTC().Format("15:04:05.000000"), e.Event.String(), revision, e.UsageType,
			orNone(e.Model), decimal(e.Quantity.String()), decimal(e.BilledCost.String()),
		})
	}
	p.table("lllllrr", rows)
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// visible makes control characters, which a terminal would obey, spaces.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func orNone(s string) string {
	if s == "" || s == uuid.Nil.String() {
		return "-"
	}
	return s
}

// httpText says what an attempt was answered, nothing of what is no attempt.
func httpText(o schema.Outcome) string {
	switch {
	case o.HTTPStatus != 0:
		return "HTTP " + strconv.Itoa(int(o.HTTPStatus))
	case o.Verdict.Open():
		return "no answer"
	}
	return orNone("")
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func hourOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func integer(n int64) string { return decimal(strconv.FormatInt(n, 10)) }

func signed(n int64) string {
	if n > 0 {
		return "+" + integer(n)
	}
	return integer(n)
}

// decimal groups the digits before the point by thousands.
func decimal(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	whole, fraction, point := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	return sign + whole
}
