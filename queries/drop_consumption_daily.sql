-- Removes a month from consumption_daily that nobody keeps anything of.
ALTER TABLE consumption_daily
    DROP PARTITION ID {partition:String}
