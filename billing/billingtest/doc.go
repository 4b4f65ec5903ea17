// Package billingtest is what tests of billing need: a Stripe that keeps state and misbehaves as
// much as its documentation allows, a clock of their own, and usage in a real database. Only tests
// import it.
package billingtest
