// Package schema says what Meterhouse stores and what can go wrong with it: the types in the
// order of their columns, the limits, the errors, and the migrations that make the tables.
//
// Quantities and money are decimals of a fixed scale from the literal to the database and back;
// there is no float in this package. Times are UTC.
package schema
