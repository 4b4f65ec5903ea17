package tracker

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Names and limits on the wire.
const (
	fieldAPIName  = "api_name"
	fieldEndpoint = "endpoint"
	fieldUnits    = "units_used"
	fieldCost     = "cost_usd"
	fieldAPIKey   = "api_key_used"

	headerKey = "Idempotency-Key" // not the original's: an addition of ours

	apiKeyMax     = 4096 // characters; only seven of them are stored
	costDigits    = 10   // of the original's Numeric(10, 4)
	costDecimals  = 4
	skipDefault   = 0
	limitDefault  = 100
	limitMax      = 1000
	inputBytesMax = 1024 // of JSON that an error repeats
)

// The texts of the original's errors.
const (
	noToken       = "Not authenticated"
	badToken      = "invalid or expired token"
	wrongRole     = "You do not have the required role to access this resource."
	noUsage       = "Usage not found"
	noUser        = "User not found."
	badBody       = "There was an error parsing the body"
	internalError = "Internal Server Error"
)

// usage is the body of a POST.
type usage struct {
	apiName  string
	endpoint string
	units    int64
	cost     schema.USD
	apiKey   string // as the client sent it: never stored or logged
}

// change is the body of a PUT: what is nil stays as it is.
type change struct {
	units *int64
	cost  *schema.USD
}

// record is a stored usage.
type record struct {
	UsageID      uuid.UUID   `json:"usage_id"`
	UserID       uuid.UUID   `json:"user_id"`
	APIName      string      `json:"api_name"`
	Endpoint     string      `json:"endpoint"`
	UnitsUsed    int64       `json:"units_used"`
	CostUSD      json.Number `json:"cost_usd"` // the decimal's own text
	APIKeyUsed   string      `json:"api_key_used"`
	StatusActive bool        `json:"status_active"`
	CreatedAt    string      `json:"created_at"`
}
