-- Where a user is reached; what agent700's app-login tells its clients.
ALTER TABLE users ADD COLUMN IF NOT EXISTS email String AFTER name
