-- Removes a month of some organizations from usage_events.
ALTER TABLE usage_events
    DELETE IN PARTITION ID {partition:String}
    WHERE organization_id IN {organizations:Array(UUID)}
