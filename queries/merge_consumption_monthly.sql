-- Merges a partition of consumption_monthly: rows that come to nothing are dropped.
OPTIMIZE TABLE consumption_monthly
    PARTITION ID {partition:String}
    FINAL
