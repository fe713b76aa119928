-- The record is append-only: whoever has write access through the Worker's binding still cannot rewrite it.
-- (Who can change the schema can drop a trigger; OPERATIONS says who that is.)
CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN
	SELECT RAISE(ABORT, 'the audit record is append-only: events are never updated');
END;
--> statement-breakpoint
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
	SELECT RAISE(ABORT, 'the audit record is append-only: events are never deleted');
END;
--> statement-breakpoint
-- INSERT OR REPLACE would remove the old row without firing the DELETE trigger, also the one whose number it names. A second
-- copy of an event is what a retried delivery looks like, so it is ignored rather than an error; the first one stands.
-- A number that is named (-1 is what a statement that names none has here) must be the next one: the export goes by them, and
-- a row far ahead of the others would leave it with gaps for ever.
CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
WHEN EXISTS (
	SELECT 1 FROM events
	WHERE session_id = NEW.session_id AND (seq = NEW.seq OR (type = 'end' AND NEW.type = 'end'))
) OR (NEW.n <> -1 AND NEW.n <> (SELECT coalesce(max(n), 0) + 1 FROM events))
BEGIN
	SELECT RAISE(IGNORE);
END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_updated BEFORE UPDATE ON requests
BEGIN
	SELECT RAISE(ABORT, 'the audit record is append-only: requests are never updated');
END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_deleted BEFORE DELETE ON requests
BEGIN
	SELECT RAISE(ABORT, 'the audit record is append-only: requests are never deleted');
END;
--> statement-breakpoint
CREATE TRIGGER requests_are_never_replaced BEFORE INSERT ON requests
WHEN EXISTS (SELECT 1 FROM requests WHERE id = NEW.id)
	OR (NEW.n <> -1 AND NEW.n <> (SELECT coalesce(max(n), 0) + 1 FROM requests))
BEGIN
	SELECT RAISE(IGNORE);
END;
