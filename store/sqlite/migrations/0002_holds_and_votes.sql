-- What the ledger is asked for besides: who holds something now, what a runbook did lately, what a policy holds.
ALTER TABLE ledger ADD COLUMN kind    TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN policy  TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN runbook TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN result  TEXT NOT NULL DEFAULT '';

UPDATE ledger SET
    kind    = coalesce(CAST(body AS TEXT) ->> '$.kind', ''),
    policy  = coalesce(CAST(body AS TEXT) ->> '$.policy', ''),
    runbook = coalesce(CAST(body AS TEXT) ->> '$.runbook', ''),
    result  = coalesce(CAST(body AS TEXT) ->> '$.result', '');

-- An entry without an end holds, and so does one whose end is to come; a verified health holds nothing.
DROP INDEX ledger_held;
CREATE INDEX ledger_until ON ledger (until) WHERE kind <> 'health';
CREATE INDEX ledger_runbook ON ledger (runbook, at) WHERE kind = 'action' AND result IN ('passed', 'failed');
CREATE INDEX ledger_policy ON ledger (policy, at) WHERE kind IN ('action', 'touch');
CREATE INDEX ledger_policy_until ON ledger (policy, until) WHERE kind IN ('action', 'touch');

CREATE TABLE votes (
    key     TEXT    NOT NULL PRIMARY KEY,
    request TEXT    NOT NULL,
    service TEXT    NOT NULL,
    runbook TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    until   INTEGER NOT NULL, -- of a word given ahead
    body    BLOB    NOT NULL
) STRICT;

CREATE INDEX votes_request ON votes (request) WHERE request <> '';
CREATE INDEX votes_ahead ON votes (service, runbook) WHERE request = '';
CREATE INDEX votes_at ON votes (at);

CREATE TABLE judgements (
    n      INTEGER PRIMARY KEY,
    policy TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    body   BLOB    NOT NULL
) STRICT;

CREATE INDEX judgements_at ON judgements (at);
CREATE INDEX judgements_policy ON judgements (policy, at);

-- What pruning looks for: what ended, by when.
ALTER TABLE intents ADD COLUMN by    TEXT    NOT NULL DEFAULT '';
ALTER TABLE intents ADD COLUMN ended INTEGER NOT NULL DEFAULT 0; -- 0 while it is open

-- Times in a body are text and not numbers; the hours are exact enough for what is kept for days.
UPDATE intents SET
    by    = coalesce(CAST(body AS TEXT) ->> '$.by', ''),
    ended = CASE state WHEN 'intended' THEN 0
        ELSE coalesce(unixepoch(CAST(body AS TEXT) ->> '$.ended_at') * 1000000000, at) END;

CREATE INDEX intents_ended ON intents (ended) WHERE ended <> 0;
CREATE INDEX records_ended ON records (updated) WHERE ended = 1;
CREATE INDEX records_open_id ON records (id) WHERE ended = 0;
CREATE INDEX ledger_health ON ledger (at) WHERE kind = 'health';
