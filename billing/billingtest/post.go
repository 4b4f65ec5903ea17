package billingtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// saved is what is kept under an idempotency key.
type saved struct {
	params string
	answer answer
	at     time.Time
}

// series is a customer's usage of a meter.
type series struct{ customer, meter string }

// event is a meter event that counts.
type event struct {
	at, received time.Time
	value        int64
}

// record names a usage record.
type record struct {
	item string
	at   int64 // unix seconds
}

// post answers a call that changes something: what is saved under its key is said again.
func (s *Stripe) post(c *call, f Fault) answer {
	s.counts.Posts++
	crowd := s.crowd(c)
	key := c.account + " " + c.key
	if s.running[key] {
		return keyInUse()
	}
	if slices.Contains(s.busy[crowd], c.account) {
		s.breaches = append(s.breaches, "two calls at a time for "+crowd)
	}
	if len(s.busy[crowd]) > 0 {
		s.counts.Crowded++
		return locked()
	}
	s.take(c, crowd, key)
	known, ok := s.keys[key]
	params := c.path + "?" + c.form.Encode()
	if ok && c.now.Sub(known.at) < remembered {
		if known.params != params {
			s.counts.Conflicts++
			return failure(http.StatusBadRequest, "idempotency_error", "",
				"Keys for idempotent requests can only be used with the same parameters they "+
					"were first used with.")
		}
		s.counts.Replayed++
		known.answer.replayed = true
		return spoil(f, known.answer)
	}
	broken := failure(http.StatusInternalServerError, "api_error", "", "An error occurred")
	if f == FailedAndSaved {
		s.keys[key] = saved{params, broken, c.now}
		return broken
	}
	a := s.change(c)
	if a.status >= http.StatusBadRequest { // validation: nothing is saved
		return spoil(f, a)
	}
	s.counts.Executed++
	if f == DoneButFailed {
		a = broken
	}
	s.keys[key] = saved{params, a, c.now}
	return spoil(f, a)
}

// take has a call under way for as long as a call lasts, with the account's lock open.
func (s *Stripe) take(c *call, crowd, key string) {
	if s.options.Latency == 0 {
		return
	}
	s.running[key] = true
	s.busy[crowd] = append(s.busy[crowd], c.account)
	s.mu.Unlock()
	time.Sleep(s.options.Latency)
	s.mu.Lock()
	delete(s.running, key)
	delete(s.busy, crowd)
	c.now = s.clock.Now()
	s.settle(c.now)
}

// crowd names what takes one call at a time.
func (s *Stripe) crowd(c *call) string {
	if item, ok := itemOf(c.path); ok {
		return item
	}
	return c.form.Get("payload[stripe_customer_id]") + " " + c.form.Get("event_name")
}

func itemOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/v1/subscription_items/")
	item, _, _ := strings.Cut(rest, "/")
	return item, ok
}

func (s *Stripe) change(c *call) answer {
	var a answer
	switch item, ok := itemOf(c.path); {
	case c.path == "/v1/billing/meter_events":
		a = s.meterEvent(c)
	case ok && strings.HasSuffix(c.path, "/usage_records"):
		a = s.usageRecord(c, item)
	default:
		a = missing("route", c.method+" "+c.path)
	}
	if a.status >= http.StatusBadRequest && !a.final {
		s.counts.Refused++
	}
	return a
}

// The bounds of a meter event.
const (
	pastMax       = 35 * 24 * time.Hour
	futureMax     = 5 * time.Minute
	identifierMax = 100
)

func (s *Stripe) meterEvent(c *call) answer {
	identifier, name := c.form.Get("identifier"), c.form.Get("event_name")
	customer := c.form.Get("payload[stripe_customer_id]")
	unix, err := strconv.ParseInt(c.form.Get("timestamp"), 10, 64)
	at := time.Unix(unix, 0).UTC()
	value, valueErr := strconv.ParseInt(c.form.Get("payload[value]"), 10, 64)
	switch {
	case err != nil:
		return invalid("parameter_invalid_integer", "Invalid integer: timestamp")
	case valueErr != nil:
		return invalid("", "The value must be a whole number.")
	case identifier == "" || len(identifier) > identifierMax:
		return invalid("", "Invalid identifier")
	case name == "" || customer == "":
		return invalid("parameter_missing", "Missing required param: event_name or payload.")
	case c.now.Sub(at) > pastMax:
		return invalid("timestamp_too_far_in_past",
			"The event timestamp cannot be more than 35 days in past.")
	case at.Sub(c.now) > futureMax:
		return invalid("timestamp_in_future",
			"The event timestamp cannot be more than 5 minutes in the future.")
	}
	if when, ok := s.used[identifier]; ok && c.now.Sub(when) < remembered {
		s.counts.Duplicates++
		a := invalid("", "An event already exists with identifier %s.", identifier)
		a.final = true
		return a
	}
	if !s.customers[customer] && s.options.UnknownAtOnce {
		return missing("customer", customer)
	}
	s.used[identifier] = c.now
	switch {
	case !s.known(name):
		s.report("no_meter", name, identifier)
	case s.archived[name]:
		s.report("archived_meter", name, identifier)
	case !s.customers[customer]:
		s.report("meter_event_customer_not_found", name, identifier)
	default:
		of := series{customer, name}
		s.events[of] = append(s.events[of], event{at, c.now, value})
	}
	return found(map[string]any{
		"object": "billing.meter_event", "created": c.now.Unix(), "event_name": name,
		"identifier": identifier, "livemode": false, "timestamp": unix,
		"payload": map[string]string{
			"stripe_customer_id": customer, "value": strconv.FormatInt(value, 10),
		},
	})
}

func (s *Stripe) known(meter string) bool {
	return slices.ContainsFunc(s.options.Meters, func(m Meter) bool { return m.Name == meter })
}

func (s *Stripe) usageRecord(c *call, item string) answer {
	exists := slices.ContainsFunc(s.options.Items, func(i Item) bool { return i.ID == item })
	unix, err := strconv.ParseInt(c.form.Get("timestamp"), 10, 64)
	quantity, quantityErr := strconv.ParseInt(c.form.Get("quantity"), 10, 64)
	at := time.Unix(unix, 0).UTC()
	switch {
	case !exists:
		return missing("subscription item", item)
	case err != nil || quantityErr != nil:
		return invalid("parameter_invalid_integer", "Invalid integer")
	case quantity < 0:
		return invalid("parameter_invalid_integer",
			"Invalid value for quantity: must be greater than or equal to 0")
	case at.After(c.now.Add(s.options.RecordDrift)):
		return invalid("", "The timestamp must not be in the future.")
	case at.Before(s.currentPeriod(c.now.Add(-s.options.RecordDrift))):
		return invalid("", "Cannot create the usage record with this timestamp because "+
			"timestamps must be after the subscription's last invoice period.")
	}
	of := record{item, unix}
	switch c.form.Get("action") {
	case "set":
		s.records[of] = quantity
	case "increment", "":
		s.records[of] += quantity
	default:
		return invalid("", "Invalid action: must be one of increment or set")
	}
	return found(map[string]any{
		"id": "mbur_1", "object": "usage_record", "livemode": false,
		"quantity": quantity, "subscription_item": item, "timestamp": unix,
	})
}
