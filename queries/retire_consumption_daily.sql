-- Removes a month of some organizations from consumption_daily.
ALTER TABLE consumption_daily
    DELETE IN PARTITION ID {partition:String}
    WHERE organization_id IN {organizations:Array(UUID)}
