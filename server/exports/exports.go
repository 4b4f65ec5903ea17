// Package exports makes saved exports in the background, part by part, so that one that was cut off
// goes on where it was.
package exports
