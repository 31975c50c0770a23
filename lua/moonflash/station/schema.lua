-- SPDX-License-Identifier: MIT
-- The tables of a station's database. A change is a new step at the end of the list; steps that
-- stand are never edited, because stores in use have been made by them.
--
-- run          one for each start of the station
-- run_file     the files that a run was made with
-- attempt      one for each try at a unit. outcome NULL: it is under way, or power was lost in it
-- step         the steps of an attempt
-- measurement  its measurements
-- item         a value that was given out: free, reserved, used or void
-- audit        what people did; each row has the hash of the one before
return {
  [[
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

  CREATE TABLE run (
    id INTEGER PRIMARY KEY, station_id TEXT, start_time_millis INTEGER NOT NULL,
    end_time_millis INTEGER, recipe TEXT, recipe_sha256 TEXT, moonflash TEXT, command TEXT);

  CREATE TABLE run_file (
    run_id INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, sha256 TEXT, size INTEGER);

  CREATE TABLE attempt (
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run, dut_id TEXT,
    start_time_millis INTEGER NOT NULL, end_time_millis INTEGER, seconds REAL, handling REAL,
    outcome TEXT, code TEXT, message TEXT, step TEXT, flash TEXT, ranges TEXT,
    slot TEXT, path TEXT, generation INTEGER, chip_id TEXT, usb_serial TEXT, usb_ids TEXT,
    scan TEXT, bytes INTEGER, sectors INTEGER, verified INTEGER, image TEXT, image_sha256 TEXT,
    source_sha256 TEXT, operator TEXT, lot TEXT, reference INTEGER NOT NULL DEFAULT 0,
    retry_of INTEGER, data TEXT);
  CREATE INDEX attempt_by_unit ON attempt (dut_id);
  CREATE INDEX attempt_judged ON attempt (dut_id, outcome)
    WHERE reference = 0 AND outcome IN ('PASS', 'FAIL', 'TIMEOUT');
  CREATE INDEX attempt_seconds ON attempt (seconds) WHERE reference = 0 AND outcome = 'PASS';
  CREATE INDEX attempt_handling ON attempt (handling) WHERE handling IS NOT NULL;
  CREATE INDEX attempt_failed ON attempt (step, code, slot, outcome, dut_id)
    WHERE reference = 0 AND outcome <> 'PASS';
  CREATE INDEX attempt_by_lot ON attempt (lot) WHERE lot IS NOT NULL;
  CREATE INDEX attempt_by_time ON attempt (start_time_millis);
  CREATE INDEX attempt_by_chip ON attempt (chip_id) WHERE chip_id IS NOT NULL;
  CREATE INDEX attempt_by_scan ON attempt (scan) WHERE scan IS NOT NULL;
  CREATE INDEX attempt_by_path ON attempt (path);
  CREATE INDEX attempt_open ON attempt (id) WHERE outcome IS NULL;

  CREATE TABLE step (
    attempt_id INTEGER NOT NULL REFERENCES attempt, number INTEGER NOT NULL, name TEXT NOT NULL,
    seconds REAL, PRIMARY KEY (attempt_id, number)) WITHOUT ROWID;

  CREATE TABLE measurement (
    attempt_id INTEGER NOT NULL REFERENCES attempt, number INTEGER NOT NULL, name TEXT NOT NULL,
    step TEXT, value, unit TEXT, low REAL, high REAL, ok INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, number)) WITHOUT ROWID;

  CREATE TABLE item (
    id INTEGER PRIMARY KEY, pool TEXT NOT NULL, number INTEGER NOT NULL, value TEXT NOT NULL,
    columns TEXT, state TEXT NOT NULL CHECK (state IN ('free', 'reserved', 'used', 'void')),
    attempt_id INTEGER REFERENCES attempt, chip_id TEXT, reason TEXT, time_millis INTEGER,
    UNIQUE (pool, value));
  CREATE INDEX item_by_number ON item (pool, number);
  CREATE INDEX item_by_attempt ON item (attempt_id);
  CREATE INDEX item_reserved ON item (id) WHERE state = 'reserved';
  CREATE INDEX item_open ON item (state) WHERE state IN ('void', 'reserved');
  CREATE INDEX item_free ON item (pool, number) WHERE state = 'free';

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY, time_millis INTEGER NOT NULL, who TEXT, what TEXT NOT NULL,
    detail TEXT, hash TEXT NOT NULL);
  ]],
}
