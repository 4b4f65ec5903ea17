ALTER TABLE usage_events RESET SETTING
    min_age_to_force_merge_seconds,
    min_age_to_force_merge_on_partition_only
