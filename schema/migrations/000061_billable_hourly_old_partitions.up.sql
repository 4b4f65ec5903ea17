-- A month that nothing is written to for a day becomes one part, as migration 59 says.
ALTER TABLE billable_hourly MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1
