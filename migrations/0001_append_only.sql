-- Makes both tables append-only for every statement that runs through the binding of the Worker. Whoever may
-- change the schema can still drop a trigger. docs/GUIDE.md lists who that is. D1 splits a migration
-- into statements on the server, so each trigger is one line, and comments have no quotes or semicolons.

CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: events are never updated'); END;
--> statement-breakpoint
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: events are never deleted'); END;
--> statement-breakpoint
-- INSERT OR REPLACE deletes the old row without firing the DELETE trigger. A second copy of an event is a
-- retried delivery, so it is ignored and is no error. An explicit row_number must be the next one, because
-- the export continues by that number. In a BEFORE INSERT trigger, -1 stands for a row_number that the
-- statement does not name.
CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE session_id = NEW.session_id AND (seq = NEW.seq OR (type = 'end' AND NEW.type = 'end'))) OR (NEW.row_number <> -1 AND NEW.row_number <> (SELECT coalesce(max(row_number), 0) + 1 FROM events)) BEGIN SELECT RAISE(IGNORE); END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_updated BEFORE UPDATE ON requests BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: requests are never updated'); END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_deleted BEFORE DELETE ON requests BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: requests are never deleted'); END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_replaced BEFORE INSERT ON requests WHEN EXISTS (SELECT 1 FROM requests WHERE id = NEW.id) OR (NEW.row_number <> -1 AND NEW.row_number <> (SELECT coalesce(max(row_number), 0) + 1 FROM requests)) BEGIN SELECT RAISE(IGNORE); END;
