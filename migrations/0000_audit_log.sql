CREATE TABLE `events` (
	`row_number` integer PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	`type` text NOT NULL,
	`data` text NOT NULL,
	`prev_hash` text NOT NULL,
	`hash` text NOT NULL,
	`user` text GENERATED ALWAYS AS (data ->> '$.user') VIRTUAL,
	CONSTRAINT "events_row_number_is_positive" CHECK(row_number > 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `events_of_session` ON `events` (`session_id`,`seq`);--> statement-breakpoint
CREATE INDEX `events_starts_by_time` ON `events` (`at`,`session_id`) WHERE type = 'start';--> statement-breakpoint
CREATE INDEX `events_starts_by_user` ON `events` (`user`,`at`) WHERE type = 'start';--> statement-breakpoint
CREATE UNIQUE INDEX `events_one_end` ON `events` (`session_id`) WHERE type = 'end';--> statement-breakpoint
CREATE TABLE `requests` (
	`id` text NOT NULL,
	`row_number` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`user` text,
	`kubernetes_user` text,
	`cluster` text,
	`category` text NOT NULL,
	`decision` text,
	`rule` text,
	`refusal` text,
	`reason` text,
	`method` text,
	`path` text,
	`verb` text,
	`api_group` text,
	`resource` text,
	`subresource` text,
	`namespace` text,
	`name` text,
	`status` integer,
	`count` integer NOT NULL,
	`client_address` text,
	`country` text,
	`user_agent` text,
	`ray` text,
	CONSTRAINT "requests_row_number_is_positive" CHECK(row_number > 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `requests_by_id` ON `requests` (`id`);--> statement-breakpoint
CREATE INDEX `requests_by_user` ON `requests` (`user`,`id`) WHERE user IS NOT NULL;--> statement-breakpoint
CREATE VIEW `sessions` AS 
  SELECT
    s.session_id AS id,
    CASE WHEN e.session_id IS NULL THEN 'live' ELSE 'ended' END AS state,
    s.user AS user,
    s.data ->> '$.kubernetes_user' AS kubernetes_user,
    s.data ->> '$.kubernetes_groups' AS kubernetes_groups,
    s.data ->> '$.cluster' AS cluster,
    s.data ->> '$.kind' AS kind,
    s.data ->> '$.namespace' AS namespace,
    s.data ->> '$.pod' AS pod,
    s.data ->> '$.container' AS container,
    s.data ->> '$.command' AS command,
    s.data ->> '$.tty' AS tty,
    s.data ->> '$.ports' AS ports,
    s.data ->> '$.recording_mode' AS recording_mode,
    s.data ->> '$.client_address' AS client_address,
    s.data ->> '$.country' AS country,
    s.data ->> '$.rule' AS rule,
    s.data ->> '$.access_reason' AS access_reason,
    s.data ->> '$.user_agent' AS user_agent,
    s.at AS started_at,
    e.at AS ended_at,
    e.data ->> '$.outcome' AS outcome,
    e.data ->> '$.exit_code' AS exit_code,
    e.data ->> '$.reason' AS reason,
    e.data ->> '$.ended_by' AS ended_by,
    e.data ->> '$.bytes_in' AS bytes_in,
    e.data ->> '$.bytes_out' AS bytes_out,
    e.data ->> '$.messages_in' AS messages_in,
    e.data ->> '$.messages_out' AS messages_out,
    e.data ->> '$.forwards' AS forwards,
    e.data ->> '$.unreadable' AS unreadable,
    e.data ->> '$.recording.state' AS recording,
    e.data ->> '$.recording.bytes' AS recording_bytes
  FROM events AS s
  LEFT JOIN events AS e ON e.session_id = s.session_id AND e.type = 'end'
  WHERE s.type = 'start';