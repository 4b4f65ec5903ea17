package digitalocean

// usageAnswer is the body of a 200. Clients tolerate a missing object; both are always there.
type usageAnswer struct {
	LogInsightsUsage resourceUsage `json:"log_insights_usage"`
	Usage            resourceUsage `json:"usage"`
}

type resourceUsage struct {
	Measurements []measurement `json:"measurements"` // never null
	ResourceUUID string        `json:"resource_uuid"`
	Start        string        `json:"start"`
	Stop         string        `json:"stop"`
}

// measurement has its tokens as a JSON number: a client generated from the published document
// drops a string.
type measurement struct {
	Tokens    int64  `json:"tokens"`
	UsageType string `json:"usage_type"`
}

// errorAnswer is the body of everything else.
type errorAnswer struct {
	ID        string `json:"id"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}
