// Package corrections changes what the ledger says of events, by reversals and replacements.
//
// An organization's corrections are numbered 1, 2, 3, … in a journal, a table of ClickHouse's:
//
//	settle ──► build ──► claim a number ──► apply it to the ledger ──► mark it applied
//	  ▲                      │ lost
//	  └──────────────────────┘
//
// Settle applies what another writer claimed and did not finish, so that what build reads has every
// earlier correction and at most one is open. The claim inserts the correction, the ledger's entries
// included, under a token of (organization, number): of all writers of a number, on whichever node,
// the first is there and nobody else, and reading the row back tells who it is. From then on the
// correction is a fact that anybody can finish: its entries go into the ledger under a token of the
// same two, and so do they when they are sent again. A keeper on every node finishes what nobody
// else does.
package corrections
