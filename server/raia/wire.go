package raia

import (
	"strings"

	"github.com/meterhouse/meterhouse/schema"
)

// Header and member names on the wire.
const (
	headerSecret = "Agent-Secret-Key"
	headerKey    = "Idempotency-Key" // not raia's: an addition of ours

	fieldType   = "type"
	fieldAmount = "amount"
	fieldBody   = "body" // what an error names when no member is at fault
)

// usage is one report: the body of a request.
type usage struct {
	usageType string // one of the constants of schema: never the request's memory
	quantity  schema.Quantity
}

// envelope is every answer with a body, except the one to an internal error.
type envelope struct {
	Status  int      `json:"status"`
	Name    string   `json:"name"`
	Message string   `json:"message"`
	Details []detail `json:"details"`
}

type detail struct {
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// usageTypeOf returns the usage type with a wire name; false when raia has none of that name.
func usageTypeOf(name []byte) (string, bool) {
	switch string(name) {
	case schema.OpenAITokens:
		return schema.OpenAITokens, true
	case schema.VapiSeconds:
		return schema.VapiSeconds, true
	}
	return "", false
}

// isJSON reports whether a body with this Content-Type is read as JSON. A request without the
// header is given the benefit of the doubt: there is only one format it could mean.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return media == "" || strings.EqualFold(media, "application/json")
}
