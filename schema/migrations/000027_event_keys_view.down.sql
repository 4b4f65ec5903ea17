DROP VIEW IF EXISTS event_keys_view
