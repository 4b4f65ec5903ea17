package otlp

const (
	tracesPath = "/v1/traces"

	mimeProtobuf = "application/x-protobuf"
	mimeJSON     = "application/json"
)

// member is what a span, or the resource it is of, can say about a call.
type member uint8

// The members. Those before usageEnd are counts of tokens.
const (
	inputTokens member = iota
	outputTokens
	cachedTokens    // a part of the input
	writtenTokens   // to a cache; a part of the input
	reasoningTokens // a part of the output
	usageEnd

	operation member = iota - 1
	requestModel
	responseModel
	provider
	serverAddress
	serverPort
	agentID
	agentName
	userID
	serviceName // of a resource
	purpose
	channel
	chargeable
	memberEnd
)

// attribute is a name a member goes by. Of several that a span gives, the lowest rank counts: the
// conventions' own name first, then their older ones, then those of well-known instrumentations.
type attribute struct {
	member member
	rank   uint8
}

// attributes holds every name that is read; spans may have any others.
var attributes = map[string]attribute{
	"gen_ai.usage.input_tokens":  {inputTokens, 0},
	"gen_ai.usage.prompt_tokens": {inputTokens, 1},

	"gen_ai.usage.output_tokens":     {outputTokens, 0},
	"gen_ai.usage.completion_tokens": {outputTokens, 1},

	"gen_ai.usage.cache_read.input_tokens": {cachedTokens, 0},
	"gen_ai.usage.cache_read_input_tokens": {cachedTokens, 1},
	"gen_ai.usage.input_tokens.cached":     {cachedTokens, 2},

	"gen_ai.usage.cache_creation.input_tokens": {writtenTokens, 0},
	"gen_ai.usage.cache_write.input_tokens":    {writtenTokens, 1},
	"gen_ai.usage.cache_creation_input_tokens": {writtenTokens, 2},
	"gen_ai.usage.cache_write_input_tokens":    {writtenTokens, 3},
	"gen_ai.usage.input_tokens.cache_write":    {writtenTokens, 4},

	"gen_ai.usage.reasoning.output_tokens": {reasoningTokens, 0},
	"gen_ai.usage.reasoning_tokens":        {reasoningTokens, 1},
	"gen_ai.usage.output_tokens.reasoning": {reasoningTokens, 2},

	"gen_ai.operation.name": {operation, 0},
	"gen_ai.request.model":  {requestModel, 0},
	"gen_ai.response.model": {responseModel, 0},
	"gen_ai.provider.name":  {provider, 0},
	"gen_ai.system":         {provider, 1},
	"server.address":        {serverAddress, 0},
	"server.port":           {serverPort, 0},
	"gen_ai.agent.id":       {agentID, 0},
	"gen_ai.agent.name":     {agentName, 0},
	"enduser.id":            {userID, 0},
	"user.id":               {userID, 1},
	"service.name":          {serviceName, 0},
	"meterhouse.purpose":    {purpose, 0},
	"meterhouse.channel":    {channel, 0},
	"meterhouse.chargeable": {chargeable, 0},
}

// counting says of an operation whether its span is one call to a model. The others' spans stand
// around such calls, and where they tell tokens it is the sum of what is below them: counted as
// well, everything would be counted twice.
var counting = map[string]bool{
	"chat":             true,
	"text_completion":  true,
	"generate_content": true,
	"embeddings":       true,

	"invoke_agent":        false,
	"create_agent":        false,
	"invoke_workflow":     false,
	"plan":                false,
	"execute_tool":        false,
	"retrieval":           false,
	"create_memory":       false,
	"update_memory":       false,
	"upsert_memory":       false,
	"delete_memory":       false,
	"search_memory":       false,
	"create_memory_store": false,
	"delete_memory_store": false,
}
