-- A sum over what a row says, so that a flipped bit on the disk is an error and not another value. What is not in a sum
-- stands in an index as well, and the check of the database compares the two. The audit log has its own, far stronger one.
ALTER TABLE records    ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE timeline   ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger     ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcomes   ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE proofs     ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE judgements ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE votes      ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents    ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE settings   ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;

UPDATE records    SET sum = jenner_sum(subject, phase, version, due, wait, ended, updated, state);
UPDATE timeline   SET sum = jenner_sum(at, phase, kind, text, data);
UPDATE ledger     SET sum = jenner_sum(body);
UPDATE outcomes   SET sum = jenner_sum(body);
UPDATE proofs     SET sum = jenner_sum(body);
UPDATE judgements SET sum = jenner_sum(body);
UPDATE votes      SET sum = jenner_sum(body);
UPDATE intents    SET sum = jenner_sum(body);
UPDATE settings   SET sum = jenner_sum(value);

CREATE INDEX proofs_at ON proofs (at);
