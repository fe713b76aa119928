-- A user's object as version 4 leaves it: one live recorded session that somebody watches, whose command has ended and whose stdin waits, events
-- that wait for D1, a lock that one object lacks and a reason, a change without a response, counted
-- requests, and access that was granted.
-- Frozen: later versions must be able to migrate exactly this.
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL);

CREATE TABLE open_sessions (
  session_id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  checkpoint_at INTEGER NOT NULL,
  next_seq INTEGER NOT NULL,
  last_event_at INTEGER NOT NULL,
  last_event_hash TEXT NOT NULL,
  bytes_in INTEGER NOT NULL DEFAULT 0,
  bytes_out INTEGER NOT NULL DEFAULT 0,
  messages_in INTEGER NOT NULL DEFAULT 0,
  messages_out INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

ALTER TABLE open_sessions ADD COLUMN final_status TEXT;

CREATE TABLE user_chain (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  last_hash TEXT NOT NULL
);

ALTER TABLE user_chain ADD COLUMN rated_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_chain ADD COLUMN rated_rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_chain ADD COLUMN changes_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_chain ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_chain ADD COLUMN sessions_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_chain ADD COLUMN session_bytes INTEGER NOT NULL DEFAULT 0;

CREATE TABLE state_version (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL
);

CREATE TABLE pending_copies (
  location_hint TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE open_requests (
  request_id TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  last_event_hash TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE request_counts (
  counted TEXT PRIMARY KEY,
  count INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE drain (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  drained_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL
);

CREATE TABLE outbox (
  row_number INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL
);

CREATE TABLE user_lock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  user TEXT NOT NULL,
  locked_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  until INTEGER
);

CREATE TABLE access_reason (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  reason TEXT NOT NULL,
  until INTEGER NOT NULL
);

CREATE TABLE recordings (
  session_id TEXT PRIMARY KEY,
  recording_number INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'ended', 'lost')),
  metadata TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  header_line TEXT,
  cast_started_at INTEGER,
  last_written_at INTEGER NOT NULL,
  byte_length INTEGER,
  upload_id TEXT,
  part_etags TEXT NOT NULL DEFAULT '[]',
  failed_uploads INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

ALTER TABLE recordings ADD COLUMN stopped TEXT;

CREATE TABLE recording_chunks (
  position INTEGER PRIMARY KEY,
  written_at INTEGER NOT NULL,
  bytes BLOB NOT NULL
);

CREATE TABLE buffered_stdin (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL,
  is_text INTEGER NOT NULL,
  is_last INTEGER NOT NULL,
  bytes BLOB NOT NULL
);

CREATE TABLE access_requests (
  access_id TEXT PRIMARY KEY,
  request TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE access_report (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL,
  is_taken INTEGER NOT NULL
);

CREATE TABLE pending_access (
  access_id TEXT PRIMARY KEY,
  object_id TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  request TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pending_access_by_time ON pending_access (requested_at);
CREATE INDEX pending_access_by_object ON pending_access (object_id);

CREATE TABLE pending_access_reports (
  object_id TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE notifications (
  row_number INTEGER PRIMARY KEY AUTOINCREMENT,
  destination TEXT NOT NULL,
  event_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  refusals INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE notification_destinations (
  destination TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  retry_at INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  gone TEXT
) WITHOUT ROWID;

CREATE TABLE database_outage (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  since INTEGER NOT NULL,
  reported_at INTEGER NOT NULL
);

CREATE TABLE open_watches (
  watch_id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL,
  user TEXT NOT NULL,
  watcher TEXT NOT NULL,
  began_at INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO schema_migrations (version, applied_at) VALUES
  (1, 1764000000000), (2, 1764000000000), (3, 1764000000000), (4, 1764000000000);

INSERT INTO open_sessions (
  session_id, started_at, checkpoint_at, next_seq, last_event_at, last_event_hash,
  bytes_in, bytes_out, messages_in, messages_out, final_status
) VALUES (
  'live-session', 1764000001000, 1764000006000, 2, 1764000001500, 'hash-of-connect', 11, 22, 3, 4,
  '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'
);

INSERT INTO buffered_stdin (position, session_id, is_text, is_last, bytes) VALUES (7, 'live-session', 0, 1, x'006869');

INSERT INTO open_watches (watch_id, session_id, user, watcher, began_at) VALUES
  ('watch-1', 'live-session', 'alice@example.com', 'admin@example.com', 1764000002000);

INSERT INTO user_chain (id, last_hash, rated_day, rated_rows, changes_day, changes, sessions_day, session_bytes)
VALUES (1, 'hash-of-start', 20416, 3, 20416, 5, 20416, 2100);

INSERT INTO open_requests (request_id, at, last_event_hash) VALUES
  ('2025-11-24T16:00:03.000Z-00112233445566770000a', 1764000003000, 'hash-of-request');

INSERT INTO request_counts (counted, count, first_at, last_at) VALUES
  ('["demo","denied","list","","secrets",null]', 7, 1764000003000, 1764000004000);

INSERT INTO outbox (row_number, session_id, seq, at, type, data, prev_hash, hash) VALUES
  (41, 'live-session', 0, 1764000001000, 'start', '{"user":"alice@example.com"}', 'hash-before', 'hash-of-start'),
  (42, 'live-session', 1, 1764000001500, 'connect', '{"protocol":"v5.channel.k8s.io"}', 'hash-of-start',
   'hash-of-connect');

INSERT INTO user_lock (id, user, locked_by, reason, until) VALUES
  (1, 'alice@example.com', 'admin@example.com', 'stolen laptop', NULL);

INSERT INTO state_version (id, version) VALUES (1, 1764000004500);

INSERT INTO pending_copies (location_hint, user, version) VALUES ('weur', 'alice@example.com', 1764000004500);

INSERT INTO access_requests (access_id, request) VALUES
  ('access-1',
  '{"id":"access-1","person":{"user":"alice@example.com","subject":"sub-alice","kubernetesUser":"alice"},"grant":"prod-admin","minutes":60,"reason":"INC-17","purpose":null,"requestedAt":1764000002000,"expiresAt":1764086402000,"needed":1,"approvals":[{"by":"bob@example.com","subject":"sub-bob","kubernetesUser":"bob","at":1764000003000,"reason":null,"minutes":30}],"isSelfApproved":false,"ended":null,"active":{"since":1764000003000,"until":1764001803000}}');

INSERT INTO access_report (id, at, is_taken) VALUES (1, 1764000003000, 1);

INSERT INTO access_reason (id, reason, until) VALUES (1, 'ticket 7', 1764000900000);

INSERT INTO recordings (
  session_id, recording_number, state, metadata, started_at, header_line, cast_started_at, last_written_at,
  byte_length, upload_id, part_etags, failed_uploads
) VALUES (
  'live-session', 5, 'open',
  '{"sessionId":"live-session","user":"alice@example.com","cluster":"test","kind":"exec","namespace":"demo","pod":"web","container":null,"command":["sh"],"tty":true}',
  1764000001500, '{"version":2,"width":80,"height":24}' || char(10), 1764000002000, 1764000001500,
  NULL, NULL, '[]', 2
);

-- Position: recording number 5 times 2^32, and the offset in the cast.
INSERT INTO recording_chunks (position, written_at, bytes) VALUES
  (21474836480, 1764000003000, CAST('{"version":2,"width":80,"height":24}' || char(10) AS BLOB)),
  (21474836517, 1764000004000, CAST('[0.5,"o","hello"]' || char(10) AS BLOB));

INSERT INTO notifications (row_number, destination, event_id, at, type, data, refusals) VALUES
  (3, 'chat', 'id-of-lock', 1764000004500, 'lock',
   '{"user":"alice@example.com","by":"admin@example.com","reason":"stolen laptop","until":null}', 1);

INSERT INTO notification_destinations (destination, failures, retry_at, dropped, gone) VALUES
  ('chat', 2, 1764000009500, 1, NULL);
