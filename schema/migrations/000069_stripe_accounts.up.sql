-- Which account of Stripe's this database is reported to: what one was told counts as told, and
-- another knows nothing of it. A row is inserted under a token of its number: of two writers of one
-- number only the first is there. The newest counts; another is accepted by a person.
CREATE TABLE IF NOT EXISTS stripe_accounts
(
    number UInt64 COMMENT 'counts the accounts from 1',
    live Bool COMMENT 'false: a test account, or a sandbox',
    account String COMMENT 'acct_…, empty: the key may not ask',
    at DateTime64(6, 'UTC'),
    writer UUID
)
ENGINE = MergeTree
ORDER BY number
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
