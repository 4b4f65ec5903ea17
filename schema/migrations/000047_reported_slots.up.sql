-- Each slot with what is billable in it, what was carried, and what Stripe was told: one row of
-- numbers. Filters on the slot reach every table. A carry out of a period is shown at the slot in
-- which the period starts.
CREATE VIEW IF NOT EXISTS reported_slots AS
SELECT
    organization_id,
    meter,
    window_start,
    sum(own_units) AS own,
    sum(in_units) AS carried,
    sum(out_units) AS carried_out,
    sum(lacking) AS unpriced,
    sum(happened) AS events,
    toUInt32(sum(newest)) AS latest,
    toInt8(sum(newest_state)) AS latest_state,
    toInt8(sum(newest_mode)) AS latest_mode,
    sum(told_set) AS set_units,
    sum(told_added) AS added_units,
    toUInt32(sum(failed_times)) AS failures,
    sum(failed_last) AS failed_at,
    sum(said_last) AS said_at,
    sum(conflicting) AS conflicts,
    groupArrayArray(opened) AS open
FROM
(
    SELECT
        organization_id,
        toString(metered_slots.meter) AS meter,
        window_start,
        units AS own_units,
        0 AS in_units,
        0 AS out_units,
        slot_unpriced AS lacking,
        slot_events AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM metered_slots
    UNION ALL
    SELECT
        organization_id,
        toString(report_carries.meter) AS meter,
        to_window AS window_start,
        0 AS own_units,
        units AS in_units,
        0 AS out_units,
        0 AS lacking,
        0 AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM report_carries
    UNION ALL
    SELECT
        organization_id,
        toString(report_carries.meter) AS meter,
        toStartOfHour(from_window) AS window_start,
        0 AS own_units,
        0 AS in_units,
        units AS out_units,
        0 AS lacking,
        0 AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM report_carries
    UNION ALL
    SELECT
        organization_id,
        toString(report_slots.meter) AS meter,
        window_start,
        0 AS own_units,
        0 AS in_units,
        0 AS out_units,
        0 AS lacking,
        0 AS happened,
        report_slots.latest AS newest,
        report_slots.latest_state AS newest_state,
        report_slots.latest_mode AS newest_mode,
        report_slots.set_units AS told_set,
        report_slots.added_units AS told_added,
        arrayCount(r -> r > newest_kept, failed) AS failed_times,
        report_slots.failed_at AS failed_last,
        report_slots.said_at AS said_last,
        report_slots.conflicts AS conflicting,
        report_slots.open AS opened
    FROM report_slots
)
GROUP BY
    organization_id,
    meter,
    window_start
