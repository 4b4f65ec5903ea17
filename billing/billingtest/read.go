package billingtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Total returns what the account has of a customer's meter in an hour.
func (s *Stripe) Total(customer, meter string, hour time.Time) int64 {
	return s.Sum(customer, meter, hour, hour.Add(time.Hour))
}

// Sum returns what the account has of a customer's meter in [from, to).
func (s *Stripe) Sum(customer, meter string, from, to time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, _ := s.sum(series{customer, meter}, from, to, s.clock.Now())
	return sum
}

// Recorded returns what the account has of a subscription item's usage records in [from, to).
func (s *Stripe) Recorded(item string, from, to time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recorded(item, from, to)
}

// Customers returns the customers of whom a meter has something, in order.
func (s *Stripe) Customers(meter string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for of := range s.events {
		if of.meter == meter {
			all = append(all, of.customer)
		}
	}
	slices.Sort(all)
	return all
}

// Hours returns the hours of which the account has events of a customer's meter, in order.
func (s *Stripe) Hours(customer, meter string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Time
	for _, e := range s.events[series{customer, meter}] {
		all = append(all, e.at.Truncate(time.Hour))
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.Compact(all)
}

func (s *Stripe) recorded(item string, from, to time.Time) (sum int64) {
	for of, quantity := range s.records {
		if of.item == item && of.at >= from.Unix() && of.at < to.Unix() {
			sum += quantity
		}
	}
	return sum
}

// sum returns what a meter has in [from, to) of events received until a time, and whether there
// are any.
func (s *Stripe) sum(of series, from, to, until time.Time) (sum int64, some bool) {
	how := s.ingestion(of.meter)
	newest := map[time.Time]event{}
	for _, e := range s.events[of] {
		if e.received.After(until) {
			continue
		}
		hour := e.at.Truncate(time.Hour)
		last, ok := newest[hour]
		switch {
		case how == AddsUp:
			if !e.at.Before(from) && e.at.Before(to) {
				sum, some = sum+e.value, true
			}
		case !ok || how == ByArrival || !e.at.Before(last.at):
			newest[hour] = e
		}
	}
	for _, e := range newest {
		if !e.at.Before(from) && e.at.Before(to) {
			sum, some = sum+e.value, true
		}
	}
	return sum, some
}

func (s *Stripe) ingestion(meter string) Ingestion {
	for _, m := range s.options.Meters {
		if m.Name == meter {
			return m.Ingestion
		}
	}
	return AddsUp
}

func (s *Stripe) get(c *call) answer {
	parts := strings.Split(strings.TrimPrefix(c.path, "/"), "/")
	path := strings.Join(parts[min(1, len(parts)):], "/")
	switch {
	case path == "billing/meters":
		return s.meters(c)
	case len(parts) == 5 && parts[4] == "event_summaries":
		return s.summaries(c, parts[3])
	case len(parts) == 4 && parts[3] == "usage_record_summaries":
		return s.recordSummaries(c, parts[2])
	case len(parts) == 3 && parts[1] == "customers":
		if !s.customers[parts[2]] {
			return missing("customer", parts[2])
		}
		return found(map[string]any{"id": parts[2], "object": "customer", "livemode": false})
	case path == "invoices":
		return s.listInvoices(c)
	case len(parts) == 3 && parts[1] == "invoices":
		return s.invoice(parts[2])
	case len(parts) == 4 && parts[1] == "invoices" && parts[3] == "lines":
		return s.invoiceLines(c, parts[2])
	case len(parts) == 4 && parts[0] == "v2" && parts[2] == "events":
		return s.thin(c, parts[3])
	}
	return failure(http.StatusNotFound, "invalid_request_error", "",
		fmt.Sprintf("Unrecognized request URL (GET: %s)", c.path))
}

// who tells a key whose it is. It is no call that counts, or goes wrong.
func (s *Stripe) who(c *call) answer {
	if status := s.refused[c.account]; status != 0 || strings.HasPrefix(c.account, "rk_") {
		return failure(cmp.Or(status, http.StatusForbidden), "invalid_request_error", "",
			"The provided key does not have the required permissions")
	}
	return found(map[string]any{"id": cmp.Or(s.options.Account, "acct_test"), "object": "account"})
}

// page returns a page of a list as Stripe's lists are: ten unless more are asked for, after an id.
func page(c *call, all []map[string]any) answer {
	limit := 10
	if n, err := strconv.Atoi(c.form.Get("limit")); err == nil {
		limit = n
	}
	if limit < 1 || limit > 100 {
		return invalid("", "Invalid limit")
	}
	if after := c.form.Get("starting_after"); after != "" {
		at := slices.IndexFunc(all, func(o map[string]any) bool { return o["id"] == after })
		if at < 0 {
			return missing("object", after)
		}
		all = all[at+1:]
	}
	more := len(all) > limit
	return found(list(c.path, all[:min(limit, len(all))], more))
}

func list(path string, all []map[string]any, more bool) map[string]any {
	if all == nil {
		all = []map[string]any{}
	}
	return map[string]any{"object": "list", "url": path, "data": all, "has_more": more}
}

// meters lists an archived meter of every name before the active one.
func (s *Stripe) meters(c *call) answer {
	var all []map[string]any
	add := func(m Meter, id, status string) {
		if want := c.form.Get("status"); want != "" && want != status {
			return
		}
		o := map[string]any{
			"id": id, "object": "billing.meter", "event_name": m.Name, "status": status,
			"display_name": m.Name, "livemode": false,
			"created": 1_700_000_000, "updated": 1_700_000_000,
			"default_aggregation": map[string]any{"formula": or(m.Formula, "sum")},
			"customer_mapping": map[string]any{
				"type": "by_id", "event_payload_key": "stripe_customer_id",
			},
			"value_settings":    map[string]any{"event_payload_key": "value"},
			"event_time_window": nil,
		}
		if m.Ingestion != AddsUp {
			o["event_time_window"] = "hour"
		}
		all = append(all, o)
	}
	for _, m := range s.options.Meters {
		add(m, MeterID(m.Name)+"_old", "inactive")
		if s.archived[m.Name] {
			add(m, MeterID(m.Name), "inactive")
		} else {
			add(m, MeterID(m.Name), "active")
		}
	}
	return page(c, all)
}

// summaries lists what a meter has, the newest first.
func (s *Stripe) summaries(c *call, id string) answer {
	name, ok := strings.CutPrefix(id, "mtr_")
	if !ok || !s.known(name) {
		return missing("billing meter", id)
	}
	customer := c.form.Get("customer")
	if !s.customers[customer] {
		return missing("customer", customer)
	}
	start, startErr := strconv.ParseInt(c.form.Get("start_time"), 10, 64)
	end, endErr := strconv.ParseInt(c.form.Get("end_time"), 10, 64)
	step, align := time.Duration(end-start)*time.Second, int64(60)
	switch c.form.Get("value_grouping_window") {
	case "":
	case "hour":
		step, align = time.Hour, 3600
	case "day":
		step, align = 24*time.Hour, 86400
	default:
		return invalid("", "Invalid value_grouping_window: must be one of hour or day")
	}
	if startErr != nil || endErr != nil || start >= end || start%align != 0 || end%align != 0 {
		return invalid("", "start_time and end_time must be aligned with the window, in order")
	}
	var all []map[string]any
	to := time.Unix(end, 0).UTC()
	for at := time.Unix(start, 0).UTC(); at.Before(to); at = at.Add(step) {
		sum, some := s.sum(series{customer, name}, at, at.Add(step),
			c.now.Add(-s.options.SummaryLag))
		if !some {
			continue
		}
		all = append(all, map[string]any{
			"id":     fmt.Sprintf("mtrusg_%s_%s_%d_%d", name, customer, at.Unix(), step),
			"object": "billing.meter_event_summary", "aggregated_value": sum, "meter": id,
			"start_time": at.Unix(), "end_time": at.Add(step).Unix(), "livemode": false,
		})
	}
	slices.Reverse(all)
	return page(c, all)
}

// recordSummaries lists what usage records came to by period, the newest first.
func (s *Stripe) recordSummaries(c *call, item string) answer {
	if !slices.ContainsFunc(s.options.Items, func(i Item) bool { return i.ID == item }) {
		return missing("subscription item", item)
	}
	var all []map[string]any
	add := func(from, to time.Time, invoice any) {
		all = append(all, map[string]any{
			"id": fmt.Sprintf("sis_%s_%d", item, from.Unix()), "object": "usage_record_summary",
			"invoice": invoice, "livemode": false, "subscription_item": item,
			"period":      map[string]any{"start": from.Unix(), "end": to.Unix()},
			"total_usage": s.recorded(item, from, to),
		})
	}
	now := s.currentPeriod(c.now)
	if s.options.PeriodLength == 0 {
		add(now, now.Add(1000*24*time.Hour), nil)
		return page(c, all)
	}
	add(now, now.Add(s.options.PeriodLength), nil)
	for _, i := range slices.Backward(s.invoices) {
		if i.made.After(i.from) && !i.void && slices.ContainsFunc(i.lines, func(l line) bool { return l.item.ID == item }) {
			add(i.from, i.to, i.id)
		}
	}
	slices.SortFunc(all[1:], func(a, b map[string]any) int { // the loop above is in order already
		return cmp.Compare(b["period"].(map[string]any)["start"].(int64),
			a["period"].(map[string]any)["start"].(int64))
	})
	return page(c, all)
}
