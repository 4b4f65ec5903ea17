package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const configurationHead = `# Configuration

Every command and its flags, as ` + "`meterhouse COMMAND -h`" + ` says them: this page is made of the
program by a test. A flag has the last word, then the environment variable that is named with it,
then the default. Secrets have no flag, but for a DSN: others on a machine may see a command line.
What is wrong is refused with exit status 2 and named, without its value where that may be a secret.

## Only in the environment
| variable | default | |
| --- | --- | --- |
| ` + "`METERHOUSE_JWT_SECRET`" + ` | made up at each start | key of HS256 tokens ([access](access.md)) |
| ` + "`STRIPE_API_KEY`" + ` | none: nothing is sent | whom to [report](reports.md#settings) to |
| ` + "`STRIPE_WEBHOOK_SECRET`" + ` | none: webhooks are refused | what Stripe signs with, several with commas between |
| ` + "`STRIPE_API_BASE`" + ` | Stripe's own | another address, for tests |
| ` + "`GOMEMLIMIT`" + ` | 272 MiB for ` + "`serve`" + ` | what Go's collector aims to stay below |
| ` + "`METERHOUSE_ENGINE_PASSWORD`" + ` | | the password of ` + "`meterhouse engine`" + ` |
| ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + `, ` + "`…_TRACES_ENDPOINT`" + ` | none: no traces | where [traces](observability.md#traces) go; http/protobuf |
| ` + "`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`" + ` | OpenTelemetry's | as OpenTelemetry defines them |
`

var (
	flagLine = regexp.MustCompile(`(?m)^  -(\S+)(?: (\S+))?(?:\n    \t|\t)(.*(?:\n    \t.*)*)$`)
	inText   = regexp.MustCompile(` ?\(((?:METERHOUSE|LIBCHDB)_[A-Z_]+(?:=true)?)?(?:; )?(?:default "?([^")]*)"?)?\)`)
)

// TestConfiguration holds docs/configuration.md against what every command says of its flags.
func TestConfiguration(t *testing.T) {
	var page strings.Builder
	page.WriteString(configurationHead)
	for _, c := range commands() {
		args := []string{c.name, "-h"}
		if c.name == "catalog" {
			args = []string{c.name, "apply", "-h"}
		}
		call := exec.Command(binary, args...)
		call.Env = []string{} // nothing of this machine
		out, err := call.CombinedOutput()
		if err != nil {
			t.Fatalf("%s -h: %v\n%s", c.name, err, out)
		}
		flags := flagLine.FindAllStringSubmatch(string(out), -1)
		if c.name == "serve" && len(flags) < 20 {
			t.Fatalf("of serve %d flags are found: this test reads its help wrongly", len(flags))
		}
		page.WriteString("\n## meterhouse " + c.name + "\n" + sentence(c.help) + "\n")
		if len(flags) == 0 {
			continue
		}
		page.WriteString("\n| flag | environment | default | |\n| --- | --- | --- | --- |\n")
		for _, f := range flags {
			page.WriteString(flagRow(f[1], f[2], f[3]))
		}
	}
	golden(t, "configuration.md", page.String())
}

func sentence(help string) string { return strings.ToUpper(help[:1]) + help[1:] + "." }

// flagRow is a flag's row. The variable and the default are taken out of its text.
func flagRow(name, value, text string) string {
	text = strings.Join(strings.Fields(text), " ")
	variable, otherwise := "", ""
	for _, m := range inText.FindAllStringSubmatch(text, -1) {
		if m[1] == "" && m[2] == "" {
			continue
		}
		if m[1] != "" {
			variable = "`" + m[1] + "`"
		}
		if m[2] != "" {
			otherwise = "`" + m[2] + "`"
		}
		text = strings.Replace(text, m[0], "", 1)
	}
	if value != "" {
		value = " " + strings.ToUpper(value)
	}
	return "| `--" + name + value + "` | " + variable + " | " + otherwise + " | " +
		strings.ReplaceAll(text, "|", `\|`) + " |\n"
}
