-- Merges a partition of consumption_daily: rows that come to nothing are dropped.
OPTIMIZE TABLE consumption_daily
    PARTITION ID {partition:String}
    FINAL
