package billingtest

import "time"

// Tamper has the account hold another number for a customer's meter in an hour than it was told, as
// if it had lost events, or somebody else had sent some.
func (s *Stripe) Tamper(customer, meter string, hour time.Time, units int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := series{customer, meter}
	var kept []event
	for _, e := range s.events[of] {
		if e.at.Before(hour) || !e.at.Before(hour.Add(time.Hour)) {
			kept = append(kept, e)
		}
	}
	if units != 0 {
		kept = append(kept, event{at: hour, value: units})
	}
	s.events[of] = kept
}

// TamperRecord has the account hold another usage record of an item at a time; 0: none.
func (s *Stripe) TamperRecord(item string, at time.Time, units int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, record{item, at.Unix()})
	if units != 0 {
		s.records[record{item, at.Unix()}] = units
	}
}
