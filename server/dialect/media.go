package dialect

import (
	"mime"
	"strings"
)

// IsJSON reports whether a body with this Content-Type is to be read as JSON: application/json, one
// of its kind (+json), or nothing said.
func IsJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		return false
	}
	subtype, ok := strings.CutPrefix(media, "application/")
	return ok && (subtype == "json" || strings.HasSuffix(subtype, "+json"))
}
