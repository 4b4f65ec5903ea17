-- Removes a month of some organizations from billable_hourly.
ALTER TABLE billable_hourly
    DELETE IN PARTITION ID {partition:String}
    WHERE organization_id IN {organizations:Array(UUID)}
