package billing_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// settle lets time pass, with reporters that work and compare, until nothing is wrong any more, or
// for too long. It returns what is wrong then.
func (c *chaos) settle() (wrong []string) {
	var stuck []string
	const hours = 45
	for i := range hours {
		c.clock.Advance(time.Hour)
		if c.s.mode == schema.UsageRecord && c.s.closes && i < 10 {
			c.plenty()
		}
		c.notify()
		c.passes++
		c.pass(i % len(c.reporters))
		if i%8 == 7 {
			c.reconcile(i % len(c.reporters))
		}
		if i < 3 || i%3 != 0 {
			continue
		}
		if i == 3 {
			stuck = c.stuck()
		}
		if wrong = c.wrong(); len(wrong) == 0 || c.t.Failed() {
			break
		}
	}
	return append(stuck, wrong...)
}

// stuck returns the revisions that are open though nothing went wrong for hours. Those that Stripe
// takes no more, and old ones in mode raw, wait for Stripe's sums.
func (c *chaos) stuck() (all []string) {
	if c.s.closes {
		return nil
	}
	for _, row := range c.db.Strings(`SELECT concat(identifier, ' of ', toString(i.created_at))
		FROM report_intents AS i LEFT ANY JOIN
		(
			SELECT organization_id, meter, window_start, revision, max(verdict) AS greatest
			FROM report_outcomes GROUP BY organization_id, meter, window_start, revision
		) AS o USING (organization_id, meter, window_start, revision)
		WHERE toInt8(greatest) < 10
			AND (mode != 'raw' OR i.created_at > {since:DateTime('UTC')})`,
		clickhouse.Named("since", c.clock.Now().Add(-18*time.Hour).Format(time.DateTime)),
	) {
		all = append(all, "stuck: revision "+row+" is still open")
	}
	return all
}

// plenty is usage of all kinds: usage records are not negative, so that what was invoiced and then
// corrected can only be taken off what is used later.
func (c *chaos) plenty() {
	var uses []billingtest.Use
	for _, name := range chaosOrganizations {
		for _, usageType := range []string{"INPUT", "OUTPUT"} {
			for _, model := range []string{"opus-4", "haiku"} {
				uses = append(uses, billingtest.Use{
					Organization: billingtest.Organization(name), Type: usageType, Model: model,
					At: c.clock.Now().Add(-time.Minute), Quantity: "10000", Billed: "5",
				})
			}
		}
	}
	billingtest.Usage(c.t, c.q, uses...)
}

func (c *chaos) reconcile(number int) {
	if _, err := c.reporters[number].Reconcile(c.t.Context()); err != nil {
		c.t.Errorf("reconcile: %v", err)
	}
}

// place is where units are, or should be.
type place struct {
	organization, meter string
	hour                int64
}

// wrong returns everything that is not as it has to be in the end.
func (c *chaos) wrong() (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	own, carried := c.billable(), c.carried()
	closed, invoiced := c.invoiced()
	sums := map[place]int64{} // of an organization and meter: what is missing
	all := c.told()
	maps.Copy(all, own)
	maps.Copy(all, carried)
	for p := range all {
		if time.Unix(p.hour, 0).Before(closed[place{p.organization, p.meter, 0}]) {
			continue
		}
		if want, got := own[p]+carried[p], c.holds(p, time.Hour); want != got {
			say("%v: Stripe has %d, billable is %d\n%s", p, got, want, c.history(p))
		}
	}
	for p, units := range own {
		sums[place{p.organization, p.meter, 0}] += units
	}
	for of, units := range sums {
		from := c.began
		if end, ok := closed[of]; ok {
			from = end
		}
		rest := of
		rest.hour = from.Unix()
		if got := invoiced[of] + c.holds(rest, 1000*time.Hour); got != units {
			say("%s %s: invoices and the open period come to %d, all usage to %d",
				of.organization, of.meter, got, units)
		}
	}
	wrong = append(wrong, c.unacked()...)
	if n := c.stripe.Counts().Conflicts; n > 0 {
		say("%d key conflicts", n)
	}
	for _, b := range c.stripe.Breaches() {
		say("breach: %s", b)
	}
	for _, row := range c.db.Strings(`SELECT concat(toString(organization_id), ' ', meter, ' ',
		toString(window_start), ' r', toString(revision)) FROM report_intents
		GROUP BY organization_id, meter, window_start, revision HAVING count() > 1`) {
		say("two intents: %s", row)
	}
	return wrong
}

func (p place) String() string {
	return p.organization + " " + p.meter + " " + time.Unix(p.hour, 0).UTC().Format(time.RFC3339)
}

// billable returns what each slot comes to, from the view that says what is billable.
func (c *chaos) billable() map[place]int64 {
	return c.places(`SELECT concat(toString(organization_id), ' ', meter, ' ',
		toString(toUnixTimestamp(hour)), ' ',
		toString(toInt64(roundBankers(if(any(unit) = 'quantity',
			toDecimal128(sum(quantity), 12), sum(billed_cost) * 1000000)))))
		FROM metered_hourly GROUP BY organization_id, meter, hour`)
}

// carried returns what was carried into each slot.
func (c *chaos) carried() map[place]int64 {
	return c.places(`SELECT concat(toString(organization_id), ' ', meter, ' ',
		toString(toUnixTimestamp(to_window)), ' ', toString(sum(units)))
		FROM report_carries GROUP BY organization_id, meter, to_window`)
}

func (c *chaos) places(sql string) map[place]int64 {
	names := map[string]string{}
	for _, name := range chaosOrganizations {
		names[billingtest.Organization(name).String()] = name
	}
	all := map[place]int64{}
	for _, row := range c.db.Strings(sql) {
		part := strings.Split(row, " ")
		hour, _ := strconv.ParseInt(part[2], 10, 64)
		units, err := strconv.ParseInt(part[3], 10, 64)
		if err != nil {
			c.t.Fatalf("%s: %v", row, err)
		}
		all[place{names[part[0]], part[1], hour}] = units
	}
	return all
}

// told returns the slots that have a revision.
func (c *chaos) told() map[place]int64 {
	return c.places(`SELECT concat(toString(organization_id), ' ', meter, ' ',
		toString(toUnixTimestamp(window_start)), ' 0')
		FROM report_intents GROUP BY organization_id, meter, window_start`)
}

// history returns what happened to a slot, in order.
func (c *chaos) history(p place) string {
	const slot = `organization_id = {o:UUID} AND meter = {m:String}
		AND toUnixTimestamp(window_start) = {h:Int64}`
	return strings.Join(c.db.Strings(`SELECT concat(toString(at), ' r', toString(revision), ' ', what)
		FROM (
			SELECT created_at AS at, revision, concat('frozen: total ', toString(total),
				', send ', toString(send), ', by ', toString(writer)) AS what
			FROM report_intents WHERE `+slot+`
			UNION ALL
			SELECT at, revision, concat(toString(verdict), ' ', toString(http_status), ' g',
				toString(key_generation), ' by ', toString(writer), ' ', detail) AS what
			FROM report_outcomes WHERE `+slot+`
		) ORDER BY at, revision`,
		clickhouse.Named("o", billingtest.Organization(p.organization).String()),
		clickhouse.Named("m", p.meter), clickhouse.Named("h", strconv.FormatInt(p.hour, 10)),
	), "\n")
}

// holds returns what Stripe has from an hour on.
func (c *chaos) holds(p place, length time.Duration) int64 {
	from := time.Unix(p.hour, 0).UTC()
	if c.s.mode == schema.UsageRecord {
		return c.stripe.Recorded("si_"+p.organization+"_"+p.meter, from, from.Add(length))
	}
	return c.stripe.Sum("cus_"+p.organization, p.meter, from, from.Add(length))
}

// invoiced returns until when each organization and meter is invoiced, and how much.
func (c *chaos) invoiced() (closed map[place]time.Time, units map[place]int64) {
	closed, units = map[place]time.Time{}, map[place]int64{}
	for _, i := range c.stripe.Invoices() {
		if !i.Final {
			continue
		}
		for _, l := range i.Lines {
			name, meter, _ := strings.Cut(strings.TrimPrefix(l.Item.ID, "si_"), "_")
			of := place{name, meter, 0}
			closed[of] = i.To
			units[of] += l.Quantity
		}
	}
	return closed, units
}

// unacked returns the slots that are not acknowledged.
func (c *chaos) unacked() (wrong []string) {
	slots, err := c.reporters[0].Slots(c.t.Context(), schema.SlotsParams{
		Organization: uuid.UUID{}, From: c.began, To: c.clock.Now().Truncate(time.Hour),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range slots {
		if s.State != schema.SlotAcked {
			wrong = append(wrong, fmt.Sprintf("stuck: %v is %s: billable %d, reported %d, "+
				"revision %d; %s", s.Slot, s.State, s.Billable, s.Reported, s.Revision, s.Detail))
		}
	}
	return wrong
}

// slots returns how many slots there were.
func (c *chaos) slots() int { return len(c.billable()) }
