package schema

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Scan takes a value of a Decimal(38, 6) column; it implements database/sql's Scanner.
func (q *Quantity) Scan(src any) error {
	d, ok := src.(decimal.Decimal)
	if !ok {
		return fmt.Errorf("cannot read a %T as a quantity", src)
	}
	if *q, ok = QuantityFromDecimal(d); !ok {
		return fmt.Errorf("%s is not a quantity", d)
	}
	return nil
}

// Scan takes a value of a Decimal(38, 12) column; it implements database/sql's Scanner.
func (u *USD) Scan(src any) error {
	d, ok := src.(decimal.Decimal)
	if !ok {
		return fmt.Errorf("cannot read a %T as an amount of money", src)
	}
	if *u, ok = USDFromDecimal(d); !ok {
		return fmt.Errorf("%s is not an amount of money", d)
	}
	return nil
}
