-- Removes a month from billable_hourly that nobody keeps anything of.
ALTER TABLE billable_hourly
    DROP PARTITION ID {partition:String}
