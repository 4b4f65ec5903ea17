package memori

import (
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// counter is a number of a consumption log.
type counter uint8

const (
	totalSessions counter = iota
	validSessions
	deepThoughtValidSessions
	completions
	deepThoughtCompletions
	importedSize
	nonChargeableCompletions
	nonChargeableDeepThoughtCompletions
	nonChargeableImportedSize
	counters // how many there are
)

// tally adds up one log.
type tally struct {
	counts     [counters]schema.Quantity
	prompt     map[string]schema.Quantity
	completion map[string]schema.Quantity
}

// logKey is what a log is about.
type logKey struct {
	start       time.Time
	user, agent uuid.UUID
}

func counted(usageType string) bool {
	_, isCounter := counterOf(usageType, true)
	return isCounter || isPrompt(usageType) || isCompletion(usageType)
}

// counterOf returns the counter of a usage type. Sessions count whether chargeable or not.
func counterOf(usageType string, chargeable bool) (counter, bool) {
	split := func(yes, no counter) (counter, bool) {
		if chargeable {
			return yes, true
		}
		return no, true
	}
	switch usageType {
	case schema.Sessions:
		return totalSessions, true
	case schema.ValidSessions:
		return validSessions, true
	case schema.DeepThoughtValidSessions:
		return deepThoughtValidSessions, true
	case schema.Completions:
		return split(completions, nonChargeableCompletions)
	case schema.DeepThoughtCompletions:
		return split(deepThoughtCompletions, nonChargeableDeepThoughtCompletions)
	case schema.ImportedChars:
		return split(importedSize, nonChargeableImportedSize)
	}
	return 0, false
}

func isPrompt(usageType string) bool {
	return usageType == schema.Input || usageType == schema.CachedInput ||
		usageType == schema.CacheWrite
}

func isCompletion(usageType string) bool {
	return usageType == schema.Output || usageType == schema.Reasoning
}

func (t *tally) add(row dialect.Consumption) {
	if of, ok := counterOf(row.UsageType, row.Chargeable); ok {
		t.counts[of] = t.counts[of].Add(row.Quantity)
		return
	}
	tokens := t.prompt
	if isCompletion(row.UsageType) {
		tokens = t.completion
	}
	key := tokensKey(row)
	tokens[key] = tokens[key].Add(row.Quantity)
}

// tokensKey joins provider, endpoint, key, model, charge and purpose. A pipe inside a part would
// shift the ones after it, so it is broken.
func tokensKey(row dialect.Consumption) string {
	charge := ""
	if row.Chargeable {
		charge = "$"
	}
	parts := []string{
		row.Provider, row.ProviderEndpoint, row.ProviderKey, row.Model, charge, row.Purpose,
	}
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, "|", "¦")
	}
	return strings.Join(parts, "|")
}

func encodeLog(
	s *access.Snapshot, p dialect.ConsumptionLogsParams, key logKey, t *tally,
) consumptionLog {
	organization, _ := s.Organization(p.Organization)
	user, _ := s.User(key.user)
	agent, _ := s.Agent(key.agent)
	n := func(of counter) int32 {
		return int32(min(max(t.counts[of].Floor(), math.MinInt32), math.MaxInt32))
	}
	return consumptionLog{
		ConsumptionLogID: logID(p, key).String(),
		From:             key.start.Format(time.RFC3339),
		To:               nextPeriod(p.Period, key.start).Format(time.RFC3339),
		Type:             periodName(p.Period),
		UserID:           idOrNull(key.user),
		UserName:         textOrNull(user.Name),
		TenantName:       textOrNull(organization.Tenant),
		MemoriID:         idOrNull(key.agent),
		MemoriName:       textOrNull(agent.Name),

		TotalSessions:            n(totalSessions),
		ValidSessions:            n(validSessions),
		Completions:              n(completions),
		DeepThoughtValidSessions: n(deepThoughtValidSessions),
		DeepThoughtCompletions:   n(deepThoughtCompletions),
		ImportedSize:             t.counts[importedSize].Floor(),

		NonChargeableCompletions:            n(nonChargeableCompletions),
		NonChargeableDeepThoughtCompletions: n(nonChargeableDeepThoughtCompletions),
		NonChargeableImportedSize:           t.counts[nonChargeableImportedSize].Floor(),

		PromptTokens:     encodeTokens(t.prompt),
		CompletionTokens: encodeTokens(t.completion),
	}
}

// logID is a function of what the log is about, so that asking again gives the same ids.
func logID(p dialect.ConsumptionLogsParams, key logKey) uuid.UUID {
	name := []byte("consumption log\x00" + periodName(p.Period) + "\x00")
	name = key.start.AppendFormat(name, time.RFC3339)
	name = append(name, key.user[:]...)
	name = append(name, key.agent[:]...)
	return uuid.NewSHA1(p.Organization, name)
}

func periodName(p dialect.Period) string {
	if p == dialect.Monthly {
		return "Monthly"
	}
	return "Daily"
}

func idOrNull(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	s := id.String()
	return &s
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// encodeTokens writes whole amounts without a point and others as plain decimals.
func encodeTokens(tokens map[string]schema.Quantity) map[string]string {
	texts := make(map[string]string, len(tokens))
	for key, quantity := range tokens {
		texts[key] = quantity.String()
	}
	return texts
}
