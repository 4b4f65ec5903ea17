// Package billing tells Stripe what is billable: for every organization, meter and UTC hour (a
// slot) it reports the units of billable_hourly until Stripe has them, whatever crashes in between,
// late usage and corrections included.
//
//	open slots ──► intents, frozen in ClickHouse ──► calls ──► outcomes
//
// Nothing is remembered but what ClickHouse has: any number of reporters may run, and all send the
// same numbers under the same names.
package billing
