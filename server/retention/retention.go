// Package retention removes what organizations keep no longer, and replaces what identifies people
// who are to be forgotten.
package retention
