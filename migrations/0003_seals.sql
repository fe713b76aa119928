CREATE TABLE `seal_parts` (
	`first_row` integer PRIMARY KEY NOT NULL,
	`last_row` integer NOT NULL,
	`rows` integer NOT NULL,
	`text_bytes` integer NOT NULL,
	`bytes` integer NOT NULL,
	`key` text NOT NULL,
	`sha256` text NOT NULL,
	`first_hash` text NOT NULL,
	`last_hash` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `seal_removals` (
	`first_row` integer PRIMARY KEY NOT NULL,
	`last_row` integer NOT NULL,
	`removed_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `seals` (
	`first_row` integer PRIMARY KEY NOT NULL,
	`last_row` integer NOT NULL,
	`rows` integer NOT NULL,
	`month` text NOT NULL,
	`closed_by` text NOT NULL,
	`parts` integer NOT NULL,
	`text_bytes` integer NOT NULL,
	`bytes` integer NOT NULL,
	`key` text NOT NULL,
	`sha256` text NOT NULL,
	`previous_sha256` text NOT NULL,
	`sealed_at` integer NOT NULL,
	`event_hash` text NOT NULL
);
--> statement-breakpoint
-- The tables of seals are append-only. A second copy of a row is a retry, or another run that was as fast: it is
-- ignored. Any other row must agree with what it speaks of, or it is refused. A time must be of this hour, so
-- that nobody makes a seal older than it is.
CREATE TRIGGER seal_parts_are_never_updated BEFORE UPDATE ON seal_parts BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: parts of seals are never updated'); END;
--> statement-breakpoint
CREATE TRIGGER seal_parts_are_never_deleted BEFORE DELETE ON seal_parts BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: parts of seals are never deleted'); END;
--> statement-breakpoint
CREATE TRIGGER seal_parts_are_never_replaced BEFORE INSERT ON seal_parts WHEN EXISTS (SELECT 1 FROM seal_parts WHERE first_row = NEW.first_row) BEGIN SELECT RAISE(IGNORE); END;
--> statement-breakpoint
CREATE TRIGGER seal_parts_agree_with_events BEFORE INSERT ON seal_parts WHEN NOT EXISTS (SELECT 1 FROM seal_parts WHERE first_row = NEW.first_row) AND (NEW.first_row <> (SELECT coalesce(max(last_row), 0) + 1 FROM seal_parts) OR NOT EXISTS (SELECT 1 FROM events WHERE row_number = NEW.last_row AND hash = NEW.last_hash) OR (SELECT hash FROM events WHERE row_number >= NEW.first_row ORDER BY row_number LIMIT 1) IS NOT NEW.first_hash OR (SELECT count(*) FROM events WHERE row_number BETWEEN NEW.first_row AND NEW.last_row) <> NEW.rows OR NEW.rows < 1) BEGIN SELECT RAISE(ABORT, 'this part of a seal does not agree with the rows of events'); END;
--> statement-breakpoint
CREATE TRIGGER seals_are_never_updated BEFORE UPDATE ON seals BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: seals are never updated'); END;
--> statement-breakpoint
CREATE TRIGGER seals_are_never_deleted BEFORE DELETE ON seals BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: seals are never deleted'); END;
--> statement-breakpoint
CREATE TRIGGER seals_are_never_replaced BEFORE INSERT ON seals WHEN EXISTS (SELECT 1 FROM seals WHERE first_row = NEW.first_row) BEGIN SELECT RAISE(IGNORE); END;
--> statement-breakpoint
CREATE TRIGGER seals_agree_with_their_parts BEFORE INSERT ON seals WHEN NOT EXISTS (SELECT 1 FROM seals WHERE first_row = NEW.first_row) AND (NEW.first_row <> (SELECT coalesce(max(last_row), 0) + 1 FROM seals) OR (SELECT count(*) || ' ' || coalesce(max(last_row), 0) || ' ' || coalesce(sum(rows), 0) || ' ' || coalesce(sum(text_bytes), 0) || ' ' || coalesce(sum(bytes), 0) FROM seal_parts WHERE first_row BETWEEN NEW.first_row AND NEW.last_row) <> NEW.parts || ' ' || NEW.last_row || ' ' || NEW.rows || ' ' || NEW.text_bytes || ' ' || NEW.bytes OR NEW.parts < 1 OR NEW.previous_sha256 <> coalesce((SELECT sha256 FROM seals ORDER BY first_row DESC LIMIT 1), '') OR abs(NEW.sealed_at - unixepoch() * 1000) > 3600000 OR NOT EXISTS (SELECT 1 FROM events WHERE session_id = printf('seal-%016d', NEW.first_row) AND seq = 0 AND type = 'seal' AND hash = NEW.event_hash)) BEGIN SELECT RAISE(ABORT, 'this seal does not agree with its parts, the seal before it or its event'); END;
--> statement-breakpoint
CREATE TRIGGER seal_removals_are_never_updated BEFORE UPDATE ON seal_removals BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: removals are never updated'); END;
--> statement-breakpoint
CREATE TRIGGER seal_removals_are_never_deleted BEFORE DELETE ON seal_removals BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: removals are never deleted'); END;
--> statement-breakpoint
CREATE TRIGGER seal_removals_are_never_replaced BEFORE INSERT ON seal_removals WHEN EXISTS (SELECT 1 FROM seal_removals WHERE first_row = NEW.first_row) BEGIN SELECT RAISE(IGNORE); END;
--> statement-breakpoint
-- 28 days, the shortest month: long enough to notice a seal that somebody forged, before rows can leave by it.
CREATE TRIGGER seal_removals_agree_with_seals BEFORE INSERT ON seal_removals WHEN NOT EXISTS (SELECT 1 FROM seal_removals WHERE first_row = NEW.first_row) AND (NEW.first_row <> (SELECT coalesce(max(last_row), 0) + 1 FROM seal_removals) OR abs(NEW.removed_at - unixepoch() * 1000) > 3600000 OR NOT EXISTS (SELECT 1 FROM seals WHERE first_row = NEW.first_row AND last_row = NEW.last_row AND sealed_at <= (unixepoch() - 2419200) * 1000) OR NOT EXISTS (SELECT 1 FROM events WHERE session_id = printf('seal-%016d', NEW.first_row) AND seq = 1 AND type = 'removal')) BEGIN SELECT RAISE(ABORT, 'only a range that was sealed 28 days ago may leave, and only after its event'); END;
--> statement-breakpoint
DROP TRIGGER events_are_never_deleted;
--> statement-breakpoint
-- A row leaves after its range, together with all other rows of its session. The newest row never leaves, so that
-- SQLite goes on with its number.
CREATE TRIGGER events_leave_only_sealed BEFORE DELETE ON events WHEN OLD.row_number > (SELECT coalesce(max(last_row), 0) FROM seal_removals) OR OLD.row_number >= (SELECT max(row_number) FROM events) OR EXISTS (SELECT 1 FROM events WHERE session_id = OLD.session_id AND row_number > (SELECT max(last_row) FROM seal_removals)) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: events are never deleted, they leave only after they were sealed'); END;
--> statement-breakpoint
DROP TRIGGER events_are_never_replaced;
--> statement-breakpoint
-- As before, and the next row_number follows the sealed rows as well, even if the table is empty. A sealed row
-- that has left never comes back: its number is taken, and an event of a sealed session is a new row.
CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE session_id = NEW.session_id AND (seq = NEW.seq OR (type = 'end' AND NEW.type = 'end'))) OR (NEW.row_number <> -1 AND NEW.row_number <> max((SELECT coalesce(max(row_number), 0) FROM events), (SELECT coalesce(max(last_row), 0) FROM seals)) + 1) BEGIN SELECT RAISE(IGNORE); END;
