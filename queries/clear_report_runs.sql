-- Removes how passes of the reporter went that ended before a moment.
ALTER TABLE report_runs
    DELETE WHERE ended_at < {before:DateTime('UTC')}
