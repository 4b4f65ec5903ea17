package agent700

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// The members of a logged usage, by the names we document.
const (
	fieldUser         = "user_id"
	fieldOrganization = "organization_id"
	fieldModel        = "model_name"
	fieldInput        = "input_tokens"
	fieldOutput       = "output_tokens"
	fieldService      = "service_name"
	fieldChannel      = "channel"

	fieldToken = "token" // of app-login
	paramStart = "start_date"
	paramEnd   = "end_date"
)

// aliases are other names of the members: only model_name and service_name are documented by the
// original, in one style of two, so a client may have guessed any of these.
var aliases = map[string][]string{
	fieldUser:         {fieldUser, "userId"},
	fieldOrganization: {fieldOrganization, "organizationId", "org_id"},
	fieldModel:        {fieldModel, "modelName", "model"},
	fieldInput:        {fieldInput, "inputTokens", "prompt_tokens", "promptTokens"},
	fieldOutput:       {fieldOutput, "outputTokens", "completion_tokens", "completionTokens"},
	fieldService:      {fieldService, "serviceName"},
	fieldChannel:      {fieldChannel, "source_channel", "channel_name"},
}

const (
	defaultChannel    = "external_api"
	appPasswordPrefix = "app_a7_"

	tokensMax     = 999_999_999_999 // twelve digits, as everywhere
	logsMax       = 1000            // billing logs of one answer
	loginBytesMax = 4 << 10
)

// The texts of the answers, the original's where it has any.
const (
	loggedMessage    = "External usage logged successfully"
	missingField     = "Missing required field: "
	validationFailed = "Validation failed"
	noToken          = "Authentication required"
	badToken         = "Invalid or expired token"
	badAppPassword   = "Invalid app password token"
	notSuperadmin    = "Insufficient permissions: superadmin role required"
	noUser           = "User not found"
	noOrganization   = "Organization not found"
	noObject         = "Request body must be a JSON object"
	internalError    = "Internal server error"
)

// logged is a usage that was taken.
type logged struct {
	Message        string      `json:"message"`
	ID             uuid.UUID   `json:"id"`
	UserID         uuid.UUID   `json:"userId"`
	OrganizationID uuid.UUID   `json:"organizationId"`
	ServiceName    string      `json:"serviceName"`
	ModelName      string      `json:"modelName"`
	InputTokens    int64       `json:"inputTokens"`
	OutputTokens   int64       `json:"outputTokens"`
	Channel        string      `json:"channel"`
	ServiceCost    json.Number `json:"serviceCost"` // the decimals' own texts
	Agent700Cost   json.Number `json:"agent700Cost"`
	Unpriced       []string    `json:"unpriced,omitempty"` // members that no rate is known for
	CreatedAt      string      `json:"createdAt"`
}

// billing is what a user's requests cost.
type billing struct {
	TotalAgent700Cost json.Number `json:"totalAgent700Cost"`
	TotalCost         json.Number `json:"totalCost"` // the same: clients read one or the other
	BillingLogs       []request   `json:"billingLogs"`
}

// request is one of a user's requests.
type request struct {
	ID               uuid.UUID   `json:"id"`
	ModelName        string      `json:"modelName"`
	PromptTokens     int64       `json:"promptTokens"`
	CompletionTokens int64       `json:"completionTokens"`
	Agent700Cost     json.Number `json:"agent700Cost"`
	Unpriced         bool        `json:"unpriced,omitempty"` // some of it has no rate
	ServiceName      string      `json:"serviceName"`
	Channel          string      `json:"channel"`
	CreatedAt        string      `json:"createdAt"`
}

// session is the answer to an app-login.
type session struct {
	Email               string             `json:"email"`
	AccessToken         string             `json:"accessToken"`
	ExpiresIn           int64              `json:"expiresIn"` // seconds
	OrganizationsRoles  []organizationRole `json:"organizationsRoles"`
	DefaultOrganization organization       `json:"defaultOrganization"`
}

type organizationRole struct {
	Name string    `json:"name"`
	ID   uuid.UUID `json:"id"`
	Role string    `json:"role"`
}

type organization struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
}

// roleNames are the original's: its consumer is our member.
var roleNames = map[schema.Role]string{
	schema.Superadmin: "superadmin",
	schema.Admin:      "admin",
	schema.Member:     "consumer",
}

// failure is the envelope of every error.
type failure struct {
	Error   string   `json:"error"`
	Details []string `json:"details,omitempty"`
}
