package memori

// millisecondsUTC is the layout of requestDateTime.
const millisecondsUTC = "2006-01-02T15:04:05.000Z"

// listResponse is the body of every answer. The published schema allows no further members.
type listResponse struct {
	ConsumptionLogs []consumptionLog `json:"consumptionLogs"` // null on an error, never otherwise
	RequestID       int64            `json:"requestID"`
	RequestDateTime string           `json:"requestDateTime"`
	ResultCode      int32            `json:"resultCode"`
	ResultMessage   string           `json:"resultMessage"`
}

// consumptionLog is what one user consumed of one memori in one period.
type consumptionLog struct {
	ConsumptionLogID string  `json:"consumptionLogID"`
	From             string  `json:"from"`
	To               string  `json:"to"` // start of the next period
	Type             string  `json:"type"`
	UserID           *string `json:"userID"`
	UserName         *string `json:"userName"`
	TenantName       *string `json:"tenantName"`
	MemoriID         *string `json:"memoriID"`
	MemoriName       *string `json:"memoriName"`

	TotalSessions            int32 `json:"totalSessions"`
	ValidSessions            int32 `json:"validSessions"`
	Completions              int32 `json:"completions"`
	DeepThoughtValidSessions int32 `json:"deepThoughtValidSessions"`
	DeepThoughtCompletions   int32 `json:"deepThoughtCompletions"`
	ImportedSize             int64 `json:"importedSize"`

	NonChargeableCompletions            int32 `json:"nonChargeableCompletions"`
	NonChargeableDeepThoughtCompletions int32 `json:"nonChargeableDeepThoughtCompletions"`
	NonChargeableImportedSize           int64 `json:"nonChargeableImportedSize"`

	// Keyed by provider|endpoint|key|model|charge|purpose; values are decimal numbers in strings.
	PromptTokens     map[string]string `json:"promptTokens"`
	CompletionTokens map[string]string `json:"completionTokens"`
}

// The result codes of these routes. Positive ones are HTTP's, for what has no code of its own.
const (
	codeOK                  = 0
	codeTenantNotFound      = -1
	codeUserNotFound        = -12
	codeMemoriNotFound      = -51
	codeMemoriNotAccessible = -52
	codeSessionNotFound     = -101
	codeNotAdministrative   = -102
	codeSessionExpired      = -103
	codeInvalidType         = -901
	codeInvalidDateFrom     = -902
	codeInvalidDateTo       = -903
	codeInvalidUserID       = -904
	codeInvalidMemoriID     = -905
)

const messageOK = "Ok"
