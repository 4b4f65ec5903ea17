-- Removes a month of some organizations from consumption_monthly, whose partitions are years.
ALTER TABLE consumption_monthly
    DELETE IN PARTITION ID {partition:String}
    WHERE month = {month:Date}
      AND organization_id IN {organizations:Array(UUID)}
