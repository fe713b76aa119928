import type { Migration } from "./migrations.ts";

/**
 * The schema of a user's object and of the directory, described in docs/STORAGE.md. Times are milliseconds
 * since the epoch.
 */
export const SCHEMA: readonly Migration[] = [
  {
    version: 1,
    statements: `
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

      CREATE TABLE user_chain (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last_hash TEXT NOT NULL
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

      CREATE TABLE recording_chunks (
        position INTEGER PRIMARY KEY,
        written_at INTEGER NOT NULL,
        bytes BLOB NOT NULL
      );`,
  },
  {
    version: 2,
    statements: `
      ALTER TABLE open_sessions ADD COLUMN final_status TEXT;
      ALTER TABLE recordings ADD COLUMN stopped TEXT;

      CREATE TABLE buffered_stdin (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL,
        is_text INTEGER NOT NULL,
        is_last INTEGER NOT NULL,
        bytes BLOB NOT NULL
      );`,
  },
  {
    version: 3,
    statements: `
      ALTER TABLE user_chain ADD COLUMN rated_day INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE user_chain ADD COLUMN rated_rows INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE user_chain ADD COLUMN changes_day INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE user_chain ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;

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
      );`,
  },
  {
    version: 4,
    statements: `
      ALTER TABLE user_chain ADD COLUMN sessions_day INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE user_chain ADD COLUMN session_bytes INTEGER NOT NULL DEFAULT 0;

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
      ) WITHOUT ROWID;`,
  },
];
