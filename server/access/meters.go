package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// The bounds of what is decided for every row of usage that is reported.
const (
	metersMax      = 200 // of a catalog
	meterListMax   = 100 // of a meter's usage types, and of its models
	mappedMax      = 20  // of an organization's meters, without the one that takes the rest
	meterNameMax   = 100 // characters of an event_name, Stripe's own bound
	sinceYearAfter = 2106
)

// faults gathers what is wrong with a thing, by the member it is about.
type faults []*schema.Error

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, schema.Errorf(schema.Invalid, field, format, args...))
}

// MeterFaults returns what is wrong with a meter, each fault with the member it is about. All are
// schema.Invalid.
func MeterFaults(m schema.Meter) []*schema.Error {
	var f faults
	if !plainName(m.Name) {
		f.add("name", "must be 1 to %d letters, digits, _, . or -", meterNameMax)
	}
	if m.StripeID != "" && !plainName(m.StripeID) {
		f.add("stripe_id", "must be the id of a meter of Stripe's, as mtr_123")
	}
	f.list("usage_types", m.UsageTypes, func(s string) string {
		if !schema.UsageTypeValid(s) {
			return "must be upper-case letters, digits and _"
		}
		return ""
	})
	f.list("models", m.Models, func(s string) string {
		switch star := strings.IndexByte(s, '*'); {
		case s == "":
			return "must not be empty"
		case star >= 0 && star < len(s)-1:
			return "must have a * at its end only"
		}
		if err := schema.CheckText("", s); err != nil {
			return err.Error()
		}
		return ""
	})
	return f
}

// list looks at a list that must not be long nor have anything twice.
func (f *faults) list(field string, all []string, fault func(string) string) {
	if len(all) > meterListMax {
		f.add(field, "must have at most %d elements", meterListMax)
		return
	}
	for i, s := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		if why := fault(s); why != "" {
			f.add(at, "%s", why)
		} else if slices.Contains(all[:i], s) {
			f.add(at, "is given twice")
		}
	}
}

// plainName reports whether a name can be a part of a path and of an identifier as it is.
func plainName(s string) bool {
	if s == "" || len(s) > meterNameMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// MappingFaults returns what is wrong with an organization's mapping to Stripe in itself, as
// MeterFaults does.
func MappingFaults(m schema.StripeMapping) []*schema.Error {
	var f faults
	if m.Customer == "" && (len(m.Meters) > 0 || !m.Since.IsZero()) {
		f.add("customer", "is missing")
	}
	if !m.Since.Equal(m.Since.Truncate(time.Hour)) || m.Since.Unix() < 0 && !m.Since.IsZero() ||
		m.Since.UTC().Year() >= sinceYearAfter {
		f.add("since", "must be a whole hour in UTC, from 1970 to %d", sinceYearAfter-1)
	}
	if len(m.Meters) > mappedMax {
		f.add("meters", "must have at most %d elements", mappedMax)
		return f
	}
	meters := map[string]bool{m.Meter: m.Meter != ""}
	items := map[string]bool{m.SubscriptionItem: m.SubscriptionItem != ""}
	for i, each := range m.Meters {
		meter := fmt.Sprintf("meters[%d].meter", i)
		item := fmt.Sprintf("meters[%d].subscription_item", i)
		switch {
		case !plainName(each.Meter):
			f.add(meter, "must be the name of a meter of the catalog")
		case meters[each.Meter]:
			f.add(meter, "is given twice")
		}
		switch {
		case each.SubscriptionItem == "":
		case !plainName(each.SubscriptionItem):
			f.add(item, "must be the id of a subscription item, as si_123")
		case items[each.SubscriptionItem]:
			f.add(item, "is given twice")
		}
		meters[each.Meter] = true
		items[each.SubscriptionItem] = true
	}
	return f
}
