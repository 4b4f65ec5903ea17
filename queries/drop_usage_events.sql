-- Removes a month from usage_events that nobody keeps anything of.
ALTER TABLE usage_events
    DROP PARTITION ID {partition:String}
