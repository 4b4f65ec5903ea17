package billingtest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Invoice is a customer's invoice of a period.
type Invoice struct {
	ID       string
	Customer string
	From, To time.Time // the period
	Final    bool
	Lines    []InvoiceLine
}

// InvoiceLine is what an item comes to: never below zero.
type InvoiceLine struct {
	Item     Item
	Quantity int64
}

type invoice struct {
	id, customer string
	from, to     time.Time
	made         time.Time
	final        bool
	void         bool
	lines        []line
}

type line struct {
	item     Item
	quantity int64 // once it is final
}

// Invoices returns all invoices, those of a period together, the oldest first.
func (s *Stripe) Invoices() []Invoice {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.clock.Now())
	all := make([]Invoice, 0, len(s.invoices))
	for _, i := range s.invoices {
		out := Invoice{ID: i.id, Customer: i.customer, From: i.from, To: i.to, Final: i.final}
		for _, l := range i.lines {
			out.Lines = append(out.Lines, InvoiceLine{l.item, s.quantity(i, l)})
		}
		all = append(all, out)
	}
	return all
}

// CurrentPeriod returns the start of the period that is not over.
func (s *Stripe) CurrentPeriod() time.Time { return s.currentPeriod(s.clock.Now()) }

func (s *Stripe) currentPeriod(now time.Time) time.Time {
	o := s.options
	if o.PeriodLength == 0 || now.Before(o.PeriodStart) {
		return o.PeriodStart
	}
	return o.PeriodStart.Add(now.Sub(o.PeriodStart).Truncate(o.PeriodLength))
}

// settle does what is due until now: it drafts the invoices of periods that are over, and makes
// those final that were drafts for long enough.
func (s *Stripe) settle(now time.Time) {
	o := s.options
	if o.PeriodLength == 0 {
		return
	}
	if o.FirstInvoices && !s.begun && !now.Before(o.PeriodStart) {
		s.begun = true
		for _, customer := range s.subscribed() {
			i := s.draft(customer, o.PeriodStart, o.PeriodStart.Add(o.PeriodLength))
			i.id, i.made, i.final = "in_"+customer+"_first", o.PeriodStart, true
		}
	}
	for {
		from := o.PeriodStart.Add(time.Duration(s.periods) * o.PeriodLength)
		to := from.Add(o.PeriodLength)
		if to.After(now) {
			break
		}
		s.periods++
		s.finalize(to) // those before
		for _, customer := range s.subscribed() {
			s.tell(s.draft(customer, from, to), "invoice.created", to)
		}
	}
	s.finalize(now)
}

// draft makes a customer's invoice of a period.
func (s *Stripe) draft(customer string, from, to time.Time) *invoice {
	i := &invoice{
		id:       fmt.Sprintf("in_%s_%d", customer, from.Unix()),
		customer: customer, from: from, to: to, made: to,
	}
	for _, item := range s.options.Items {
		if item.Customer == customer {
			i.lines = append(i.lines, line{item: item})
		}
	}
	s.invoices = append(s.invoices, i)
	return i
}

// Replace voids an invoice that is final, and makes another of its period, as of now, whose first
// line has so many units. No events tell of either.
func (s *Stripe) Replace(id string, units int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.invoices {
		if i.id == id && i.final && !i.void {
			i.void = true
			another := s.draft(i.customer, i.from, i.to)
			another.id, another.made, another.final = id+"_again", s.clock.Now(), true
			another.lines[0].quantity = units
			return
		}
	}
	panic("there is no such invoice to replace: " + id)
}

func (s *Stripe) subscribed() (all []string) {
	for _, i := range s.options.Items {
		all = append(all, i.Customer)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *Stripe) finalize(now time.Time) {
	for _, i := range s.invoices {
		when := i.to.Add(s.options.FinalizeAfter)
		if i.final || when.After(now) {
			continue
		}
		for n := range i.lines {
			i.lines[n].quantity = s.quantity(i, i.lines[n])
		}
		i.final = true
		s.tell(i, "invoice.finalized", when)
	}
}

// quantity returns what a line comes to: as of now, and of a final invoice as it became final.
func (s *Stripe) quantity(i *invoice, l line) int64 {
	if i.final {
		return l.quantity
	}
	if l.item.Meter == "" {
		return s.recorded(l.item.ID, i.from, i.to)
	}
	sum, _ := s.sum(series{i.customer, l.item.Meter}, i.from, i.to, s.clock.Now())
	return max(0, sum)
}

// listInvoices lists a customer's invoices, the newest first.
func (s *Stripe) listInvoices(c *call) answer {
	customer := c.form.Get("customer")
	if !s.customers[customer] {
		return missing("customer", customer)
	}
	since, err := strconv.ParseInt(c.form.Get("created[gte]"), 10, 64)
	if err != nil {
		return invalid("", "Invalid timestamp: created[gte]")
	}
	s.settle(c.now)
	var all []map[string]any
	for _, i := range slices.Backward(s.invoices) {
		if i.customer == customer && i.made.Unix() >= since {
			all = append(all, s.show(i))
		}
	}
	return page(c, all)
}

func (s *Stripe) invoice(id string) answer {
	for _, i := range s.invoices {
		if i.id == id {
			return found(s.show(i))
		}
	}
	return missing("invoice", id)
}

func (s *Stripe) invoiceLines(c *call, id string) answer {
	for _, i := range s.invoices {
		if i.id == id {
			return page(c, s.showLines(i))
		}
	}
	return missing("invoice", id)
}

// show returns an invoice with the first of its lines.
func (s *Stripe) show(i *invoice) map[string]any {
	status := "draft"
	if i.final {
		status = "open"
	}
	if i.void {
		status = "void"
	}
	lines := s.showLines(i)
	inline := min(len(lines), s.options.InlineLines)
	return map[string]any{
		"id": i.id, "object": "invoice", "customer": i.customer, "status": status,
		"currency": "usd", "livemode": false, "billing_reason": "subscription_cycle",
		"created": i.made.Unix(), "period_start": i.from.Unix(), "period_end": i.to.Unix(),
		"subscription": "sub_" + i.customer,
		"lines":        list("/v1/invoices/"+i.id+"/lines", lines[:inline], inline < len(lines)),
	}
}

// showLines returns an invoice's lines, and one that is not metered, as a flat fee is.
func (s *Stripe) showLines(i *invoice) []map[string]any {
	period := func(from, to time.Time) map[string]any {
		return map[string]any{"start": from.Unix(), "end": to.Unix()}
	}
	all := []map[string]any{{
		"id": "il_fee_" + i.id, "object": "line_item", "type": "subscription", "quantity": 1,
		"currency": "usd", "amount": 1000, "proration": false,
		"subscription": "sub_" + i.customer, "subscription_item": "si_fee_" + i.customer,
		"period": period(i.to, i.to.Add(s.options.PeriodLength)),
		"price": map[string]any{
			"id": "price_fee", "object": "price", "currency": "usd", "type": "recurring",
			"recurring": map[string]any{"interval": "month", "usage_type": "licensed"},
		},
	}}
	for n, l := range i.lines {
		recurring := map[string]any{
			"interval": "month", "usage_type": "metered", "aggregate_usage": "sum",
		}
		if l.item.Meter != "" {
			recurring["aggregate_usage"], recurring["meter"] = nil, MeterID(l.item.Meter)
		}
		all = append(all, map[string]any{
			"id": fmt.Sprintf("il_%d_%s", n, i.id), "object": "line_item",
			"type": "subscription", "quantity": s.quantity(i, l),
			"currency": "usd", "amount": 0, "proration": false,
			"subscription": "sub_" + i.customer, "subscription_item": l.item.ID,
			"period": period(i.from, i.to),
			"price": map[string]any{
				"id": "price_" + l.item.ID, "object": "price", "currency": "usd",
				"type": "recurring", "recurring": recurring,
			},
		})
	}
	return all
}
