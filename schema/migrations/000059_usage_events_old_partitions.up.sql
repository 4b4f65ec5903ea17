-- A month that nothing is written to for a day becomes one part: what a read of the past costs grows
-- with the parts it meets, and without this a few stay for ever. A month that late usage trickles
-- into is left to ordinary merges, so that it is not written again and again.
ALTER TABLE usage_events MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1
