-- Removes a month of some organizations from agent_usage_15m.
ALTER TABLE agent_usage_15m
    DELETE IN PARTITION ID {partition:String}
    WHERE organization_id IN {organizations:Array(UUID)}
