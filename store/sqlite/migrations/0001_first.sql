-- Times are nanoseconds since 1970 in UTC; 0 is 'no time'. A body is a value of the vocabulary as JSON; the columns
-- beside it are those that are asked for.

CREATE TABLE records (
    n       INTEGER PRIMARY KEY,
    line    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    phase   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    wait    TEXT    NOT NULL,
    ended   INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    state   BLOB, -- last, for it may be long
    UNIQUE (line, id)
) STRICT;

CREATE INDEX records_due ON records (line, due, n) WHERE due <> 0 AND ended = 0;
CREATE INDEX records_created ON records (line, created, n);
CREATE INDEX records_open ON records (line, created, n) WHERE ended = 0;

CREATE TABLE timeline (
    n      INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES records (n),
    at     INTEGER NOT NULL,
    phase  TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    data   BLOB
) STRICT;

CREATE INDEX timeline_record ON timeline (record, n);

CREATE TABLE ledger (
    id      TEXT    NOT NULL PRIMARY KEY,
    service TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT;

CREATE INDEX ledger_at ON ledger (at);
CREATE INDEX ledger_service ON ledger (service, at);
CREATE INDEX ledger_held ON ledger (at) WHERE until = 0;

CREATE TABLE outcomes (
    n    INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    body BLOB    NOT NULL
) STRICT;

CREATE INDEX outcomes_at ON outcomes (at);

CREATE TABLE proofs (
    n    INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    body BLOB    NOT NULL
) STRICT;

CREATE TABLE intents (
    key   TEXT    NOT NULL PRIMARY KEY,
    at    INTEGER NOT NULL,
    state TEXT    NOT NULL,
    body  BLOB    NOT NULL
) STRICT;

CREATE INDEX intents_open ON intents (at) WHERE state = 'intended';

CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- The audit log: entries as they were hashed, the hashes in the order of golang.org/x/mod/sumdb/tlog, one signed head.
CREATE TABLE audit_entries (
    n     INTEGER PRIMARY KEY,
    entry BLOB NOT NULL
) STRICT;

CREATE TABLE audit_hashes (
    n    INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE audit_head (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    signed BLOB NOT NULL
) STRICT;
