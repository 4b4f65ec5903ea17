-- Forgets the keys of the week that begins on a Monday.
ALTER TABLE event_keys DROP PARTITION {week:String}
