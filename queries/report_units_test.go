package queries_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// unitsMost is what a slot of more is said to come to.
const unitsMost = 1_000_000_000_000_000_000

// halfEven divides a coefficient by a power of ten, half to even, and bounds it, as a slot's units
// are made.
func halfEven(coefficient *big.Int, places int64) int64 {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil)
	whole, rest := new(big.Int).QuoRem(coefficient, unit, new(big.Int))
	twice := rest.Lsh(rest.Abs(rest), 1)
	if c := twice.Cmp(unit); c > 0 || c == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(int64(coefficient.Sign())))
	}
	most := big.NewInt(unitsMost)
	if whole.CmpAbs(most) > 0 {
		return int64(coefficient.Sign()) * unitsMost
	}
	return whole.Int64()
}

// decimalText writes a coefficient with this many digits after the point.
func decimalText(coefficient *big.Int, places int) string {
	sign, digits := "", new(big.Int).Abs(coefficient).String()
	if coefficient.Sign() < 0 {
		sign = "-"
	}
	if len(digits) <= places {
		digits = strings.Repeat("0", places+1-len(digits)) + digits
	}
	return sign + digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

// coefficient returns a number of up to so many digits: often a tie, or close to one.
func coefficient(r *rand.Rand, digits, places int) *big.Int {
	var text strings.Builder
	for range 1 + r.IntN(digits) {
		text.WriteByte(byte('0' + r.IntN(10)))
	}
	n, _ := new(big.Int).SetString(text.String(), 10)
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	switch r.IntN(4) {
	case 0:
		n.Mul(n, unit).Add(n, new(big.Int).Rsh(unit, 1))
	case 1:
		n.Mul(n, unit).Add(n, new(big.Int).Rsh(unit, 1)).Sub(n, big.NewInt(1))
	}
	if r.IntN(2) == 0 {
		n.Neg(n)
	}
	return n
}

// TestUnitsAreRoundedOnce sums random parts of slots, ties and numbers beyond what Stripe takes
// among them. With round in the place of roundBankers ties are off by one.
func TestUnitsAreRoundedOnce(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.save(schema.Catalog{Meters: []schema.Meter{
		{Name: "units", Unit: schema.WholeUnits, UsageTypes: []string{schema.Output}},
	}})
	r := rand.New(rand.NewPCG(1, 2))
	const slots = 400
	want := map[schema.Slot]int64{}
	var rows []string
	for i := range slots {
		o := fmt.Sprint("o", i%8)
		usd, count := l.slot(o, "usage", i/8), l.slot(o, "units", i/8)
		costs, quantities := new(big.Int), new(big.Int)
		for part := range 3 {
			digits := []int{8, 16, 26}[r.IntN(3)]
			cost, quantity := coefficient(r, digits, 6), coefficient(r, digits, 6)
			costs.Add(costs, cost)
			quantities.Add(quantities, quantity)
			for _, row := range []struct{ kind, quantity, cost string }{
				{schema.Input, "1", decimalText(cost, 12)},
				{schema.Output, decimalText(quantity, 6), "1"},
			} {
				rows = append(rows, fmt.Sprintf("('%s', '%s', '%s', 'm%d', true, '%s', '%s', 1, 1)",
					named(o), usd.Start.Format(time.DateTime), row.kind, part, row.quantity, row.cost))
			}
		}
		want[usd], want[count] = halfEven(costs, 6), halfEven(quantities, 6)
	}
	for i := range 8 {
		l.customer(fmt.Sprint("o", i), "units", "usage")
	}
	l.db.Exec("INSERT INTO billable_hourly (organization_id, hour, usage_type, model, chargeable, " +
		"quantity, billed_cost, events, measurements) VALUES " + strings.Join(rows, ", "))
	all, err := l.q.SlotStatuses(t.Context(), queries.SlotsParams{
		From: l.hour(slots), To: l.hour(-1), Limit: 2 * slots,
	})
	if err != nil || len(all) != 2*slots {
		t.Fatalf("%d slots, %v, want %d", len(all), err, 2*slots)
	}
	wrong, bounded := 0, 0
	for _, s := range all {
		if s.Own != want[s.Slot] {
			wrong++
			t.Logf("%s: %d, want %d", s.Slot, s.Own, want[s.Slot])
		}
		if s.Own == unitsMost || s.Own == -unitsMost {
			bounded++
		}
	}
	if wrong > 0 || bounded == 0 {
		t.Errorf("%d of %d slots are wrong, %d are bounded", wrong, len(all), bounded)
	}
}
