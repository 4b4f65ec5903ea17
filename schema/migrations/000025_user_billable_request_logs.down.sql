DROP VIEW IF EXISTS user_billable_request_logs
