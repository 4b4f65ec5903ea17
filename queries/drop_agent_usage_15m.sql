-- Removes a month from agent_usage_15m that nobody keeps anything of.
ALTER TABLE agent_usage_15m
    DROP PARTITION ID {partition:String}
