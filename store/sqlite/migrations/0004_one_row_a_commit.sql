-- What one commit adds to a timeline is one row: its entries as a JSON list. Most commits add several, and each row of its
-- own cost as much as the whole list does now.
ALTER TABLE timeline RENAME TO timeline_of_rows;
DROP INDEX timeline_record;

CREATE TABLE timeline (
    n       INTEGER PRIMARY KEY,
    record  INTEGER NOT NULL REFERENCES records (n),
    entries BLOB    NOT NULL,
    sum     INTEGER NOT NULL
) STRICT;

INSERT INTO timeline (n, record, entries, sum)
    SELECT n, record, entries, jenner_sum(entries) FROM
        (SELECT n, record, jenner_entries(at, phase, kind, text, data, sum) AS entries FROM timeline_of_rows ORDER BY n);

DROP TABLE timeline_of_rows;

CREATE INDEX timeline_record ON timeline (record, n);
