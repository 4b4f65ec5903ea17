package main

import (
	_ "embed"
	"fmt"
	"io"
)

//go:embed demo.yaml
var demoCatalog string

// demoLines are what to try; %[1]s is the server's URL.
const demoLines = `
Demo catalog loaded. The console is at %[1]s/ : sign in with the access token

  dop_v1_demo_ada

Or paste, for example:

  # an agent writes what it used (raia)
  curl -i -X POST %[1]s/external/resource-usage -H 'Agent-Secret-Key: demo-agent-secret-1' -H 'Content-Type: application/json' -d '{"type":"OPENAI_TOKENS","amount":4567}'

  # and in full, with an idempotency key (native)
  curl -i -X POST %[1]s/v1/events -H 'Agent-Secret-Key: demo-agent-secret-1' -H 'Content-Type: application/json' -d '{"id":"req-1","model":"gpt-4o-mini","provider":"OpenAI","usage":{"INPUT":1200,"OUTPUT":350,"COMPLETIONS":1}}'

  # what the agent used (DigitalOcean)
  curl -s %[1]s/v2/gen-ai/agents/12345678-1234-4234-8234-123456789012/usage -H 'Authorization: Bearer dop_v1_demo_ada'

  # the organization's consumption by day (Memori)
  curl -s %[1]s/api/v2/TenantConsumptionLogs/11111111-1111-4111-8111-111111111111/www.acme.example/Daily

  # one API call, tracked and listed (usage tracker)
  curl -s -X POST %[1]s/usage -H 'Authorization: Bearer dop_v1_demo_ada' -H 'Content-Type: application/json' -d '{"api_name":"llm_query","endpoint":"/chat","units_used":346,"cost_usd":0.0043,"api_key_used":"sk-live-abcdefgh"}'
  curl -s %[1]s/usage -H 'Authorization: Bearer dop_v1_demo_ada'

`

func printDemo(w io.Writer, url string) { fmt.Fprintf(w, demoLines, url) }
