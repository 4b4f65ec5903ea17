DROP VIEW IF EXISTS report_revisions
