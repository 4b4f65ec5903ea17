-- Removes holds, which are over within a minute, that were said before a moment.
ALTER TABLE holds
    DELETE WHERE intDiv(version, 1000000) < toUnixTimestamp({before:DateTime('UTC')})
