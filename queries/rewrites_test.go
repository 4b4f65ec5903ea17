package queries

// rewrites are the names of the files that rewrite tables for erasure and retention.
func rewrites() []string {
	names := []string{
		insertErasures, insertRetiredMonths, noteRetiredSequences, "retire_consumption_monthly",
		"erase_usage_events", "erase_corrections", "erase_memberships", "erase_credentials",
		"erase_users", "erase_owners", "erase_exports", "erase_catalog_audit",
		"erase_catalog_audit_actor", "erase_catalog_changes_actor", "forget_erased",
	}
	for _, table := range []string{ConsumptionDaily, ConsumptionMonthly} {
		names = append(names, "erase_"+table, "merge_"+table)
	}
	for _, table := range byMonth {
		names = append(names, "retire_"+table, "drop_"+table)
	}
	for _, c := range cleared {
		names = append(names, "clear_"+c.table)
	}
	return names
}
