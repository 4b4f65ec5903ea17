// Package share lets identical reads that come at once, or within a moment, share one question.
package share
