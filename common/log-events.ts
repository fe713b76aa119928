/**
 * Every log line of the two Workers. `npm run docs:generate` writes the table in docs/MONITORING.md from this
 * list. Names of events and fields are stable, because alerts match on them.
 */
interface LogEventDescription {
  readonly level: "log" | "warn" | "error";
  /** Which Worker writes it. */
  readonly worker: "edge" | "objects" | "both";
  /** Names of its fields beside `event` and `level`. */
  readonly fields: readonly string[];
  readonly meaning: string;
  /** What an operator should do. */
  readonly action: string;
}

export const LOG_EVENTS = {
  // Audit log
  session_ended: {
    level: "log",
    worker: "objects",
    fields: ["session", "hash"],
    meaning: "A session ended. `hash` is the hash of its last event.",
    action:
      "Nothing, but keep these lines outside of D1 (Logpush): they reveal an audit log whose hash chain was forged.",
  },
  audit_events_not_delivered: {
    level: "error",
    worker: "objects",
    fields: ["events", "attempt", "error"],
    meaning: "D1 did not accept events of a user. They wait in the user's object, which retries after 1 s to 30 s.",
    action: "If this persists for a minute, check D1's status and size. With `fail-closed`, new sessions are refused.",
  },
  state_not_copied: {
    level: "error",
    worker: "objects",
    fields: ["location", "error"],
    meaning:
      "One of a user's objects, the one of this location hint, does not have what was decided about the user: a lock, " +
      "its end, or a reason. The answer to the command named it, and it is tried again every 1 s to 30 s.",
    action:
      "If this persists, a lock may not hold at the clusters of this location: revoke the person's Access session.",
  },
  request_not_withdrawn: {
    level: "warn",
    worker: "objects",
    fields: ["error"],
    meaning:
      "Somebody gave up a session that waited for an approval, and its request could not be withdrawn. It still waits, " +
      "and expires by itself.",
    action: "Nothing, unless it persists: then see whether the user's objects answer.",
  },
  audit_refusal_rate_limited: {
    level: "error",
    worker: "objects",
    fields: [],
    meaning: "A user had more than 120 refused sessions within a minute. The audit log counts this one in a summary.",
    action: "Find out who it is: a script without permissions, or an attacker.",
  },
  audit_refusal_queue_full: {
    level: "error",
    worker: "objects",
    fields: ["queued"],
    meaning: "A refused session is only counted, in a summary, because too many events wait for D1.",
    action: "See `audit_events_not_delivered`: D1 has been unavailable for a long time.",
  },
  requests_counted: {
    level: "warn",
    worker: "objects",
    fields: [],
    meaning: "A person made more requests of one kind than get a row each: they are counted in a summary.",
    action: "Find out who it is: a script, or an attacker. `SELECT * FROM requests WHERE first_at IS NOT NULL`.",
  },
  day_limit_reached: {
    level: "warn",
    worker: "objects",
    fields: ["limit"],
    meaning:
      "A person has added as much to the audit log today as they may. `changes` or `sessions`: further ones are " +
      "refused until 00:00 UTC. `rows`: other requests and refused sessions are only counted until then.",
    action:
      "Find out who it is, as [RUNBOOK](RUNBOOK.md#d1-fills-up) says. If they need more, raise " +
      "`audit.requests.maxChangesPerDay` or `audit.maxSessionBytesPerDay`.",
  },
  change_not_recorded: {
    level: "error",
    worker: "edge",
    fields: [
      ...["id", "user", "kubernetes_user", "cluster"],
      ...["verb", "api_group", "resource", "subresource", "namespace", "name"],
    ],
    meaning:
      "A change, or a read that reaches a workload, was handed on together with its event, and the user's object did not accept the event, or not within 10 s. " +
      "The client got 503. The object may have accepted it later.",
    action:
      "Look for the row by its `id`. Without one, this line is all there is: compare with the cluster's own audit log.",
  },
  response_not_recorded: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "The status of a change is not in the audit log. The change is, without an answer.",
    action: "Report it.",
  },
  // Notifications
  webhooks_invalid: {
    level: "error",
    worker: "objects",
    fields: ["faults"],
    meaning:
      "The secret `SALLYPORT_WEBHOOKS` is invalid, so nobody is told of events. Sessions go on. Once per isolate.",
    action: "Correct what `faults` names: `npx sallyport deploy --webhooks FILE`.",
  },
  notification_not_delivered: {
    level: "warn",
    worker: "objects",
    fields: ["destination", "attempt", "cause"],
    meaning:
      "A destination did not accept a notification. It waits, with those after it, and is tried again after 5 s to 10 min. Every tenth attempt is logged.",
    action: "If this persists, check the receiver, and the destination's address and secret.",
  },
  notification_destination_gone: {
    level: "error",
    worker: "objects",
    fields: ["destination", "dropped"],
    meaning: "A destination answered 410: it wants no notification any more. The object leaves it alone.",
    action: "Give it a new address, or take it out: `npx sallyport deploy --webhooks FILE`.",
  },
  notifications_dropped: {
    level: "error",
    worker: "objects",
    fields: ["destination", "count", "cause"],
    meaning:
      "A destination will never get `count` notifications: they are older than a day, more than 100 wait, or the destination refuses them or is not configured any more. The audit log has the events.",
    action: "See `notification_not_delivered`.",
  },
  notification_not_stored: {
    level: "error",
    worker: "objects",
    fields: ["type", "error"],
    meaning: "The object's storage did not take a notification. The event itself is not affected.",
    action: "See `recording_stopped`.",
  },
  // Recordings
  recording_not_uploaded: {
    level: "error",
    worker: "objects",
    fields: ["session", "attempt", "error"],
    meaning: "R2 did not accept a recording. It waits in the object, which retries after 1 s to 5 min.",
    action: "If this persists for some minutes, check R2's status and whether the bucket exists.",
  },
  recording_stopped: {
    level: "error",
    worker: "objects",
    fields: ["session", "cause"],
    meaning: "A recording stopped: the object's storage failed, or 512 MiB wait for R2.",
    action: "See `recording_not_uploaded`. Sessions whose rule has `onFailure: end` are ended.",
  },
  recording_not_started: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "The recording of a session did not start.",
    action: "See `recording_stopped`.",
  },
  live_stream_failed: {
    level: "error",
    worker: "objects",
    fields: ["error"],
    meaning:
      "A stream of `GET /-/admin/live` or `GET /-/access/live` was ended by a fault of Sallyport's. Its reader asks again.",
    action: "Report it with the error.",
  },
  watch_failed: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "Those who watched a session live were cut off by a fault of Sallyport's. The session goes on.",
    action: "Report it with the error.",
  },
  final_status_not_saved: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "How a command ended was not stored in the object. If the object stops now, the session is `interrupted`.",
    action: "See `recording_stopped`.",
  },
  recording_upload_lost: {
    level: "error",
    worker: "objects",
    fields: ["session", "parts"],
    meaning: "R2 no longer has an unfinished upload. The rest of the recording stays in the object.",
    action:
      "A person or the bucket's lifecycle rule aborted it: correct the rule. `GET /-/admin/sessions/{id}/recording` returns the rest.",
  },
  recording_not_readable: {
    level: "error",
    worker: "edge",
    fields: ["session", "error"],
    meaning: "A recording was requested, but R2 did not return it and the object does not have it.",
    action: "Check R2's status.",
  },
  // The cluster
  upgrade_failed: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "The cluster did not open a session: it is unreachable, or did not answer within 40 s.",
    action: "Check the tunnel, the connector and the API server, in this order.",
  },
  cluster_request_failed: {
    level: "error",
    worker: "edge",
    fields: ["method", "error"],
    meaning: "An API request did not reach the cluster.",
    action: "See `upgrade_failed`.",
  },
  // Access
  access_keys_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning:
      "Access tokens cannot be verified: the keys are unavailable. Everybody without a recently verified token gets 503.",
    action: "Check Access's status, and `access.teamDomain` in the configuration.",
  },
  access_token_error_unknown: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "A token was refused because of an unknown error.",
    action: "Report it, with the `error` field.",
  },
  access_identity_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "Access did not return groups or device posture. Users whose rules need them get 503.",
    action: "Check Access's status.",
  },
  removed_access_ended: {
    level: "log",
    worker: "edge",
    fields: ["access", "grant"],
    meaning: "Somebody had or had asked for access that the configuration no longer gives them. It was taken back.",
    action: "Nothing.",
  },
  given_access_not_noted: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning:
      "R2 did not take what grants give. Sessions and streams go on that were opened with what a grant has ceased " +
      "to give since. The next minute tries again.",
    action: "If this persists, check R2's status. To end such a session at once, revoke the grant.",
  },
  given_access_replaced: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning:
      "Nobody could read the note in R2 of what grants give, so a new one was written. What grants had ceased to " +
      "give before that ends nothing any more.",
    action: "Revoke grants that gave less in the minutes before. Find out who else writes `state/given-access.json`.",
  },
  given_access_unreadable: {
    level: "warn",
    worker: "both",
    fields: ["error"],
    meaning: "R2 did not answer what grants have ceased to give. What is open goes on, and it is read again soon.",
    action: "If this persists, check R2's status.",
  },
  // The API under /-/ and the objects
  object_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["method", "attempt", "error"],
    meaning:
      "A user's object did not answer, even after retries. The caller got 503. An admin command may be incomplete.",
    action: "Repeat the command. If this persists, check the status of Durable Objects.",
  },
  directory_unavailable: {
    level: "warn",
    worker: "edge",
    fields: ["method", "error"],
    meaning:
      "The directory did not answer in time. `listLive`: the list was made from D1 alone, or refused while D1 did not answer either. `readDrain`: sessions open as it said last. `beginDrain`, `endDrain`: the administrator got 503.",
    action: "Nothing, unless it persists: then check the status of Durable Objects. Repeat a command.",
  },
  directory_not_told: {
    level: "warn",
    worker: "objects",
    fields: ["attempt", "error"],
    meaning:
      "The directory did not take a user's report of live sessions. The object retries within a minute; no session is affected.",
    action: "Nothing, unless it persists: then lists of what is live are incomplete while D1 does not answer.",
  },
  contract_mismatch: {
    level: "error",
    worker: "both",
    fields: ["method", "detail"],
    meaning: "The edge and the objects' Worker have incompatible versions. The caller got 503.",
    action:
      "Normal for a few seconds during a deploy. Otherwise deploy both Workers from one checkout: `npx sallyport deploy`.",
  },
  object_schema_newer: {
    level: "error",
    worker: "objects",
    fields: ["found", "known"],
    meaning: "A newer version of the objects' Worker has migrated this object. The object refuses every call.",
    action: "Deploy the newest version of the objects' Worker again; see docs/STORAGE.md.",
  },
  audit_database_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "D1 did not answer a query of the API. The caller got 503.",
    action: "Check D1's status.",
  },
  export_bucket_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "The bucket of the export did not answer the API. The caller got 503.",
    action: "Check R2's status.",
  },
  // Export
  export_progressed: {
    level: "log",
    worker: "edge",
    fields: ["table", "rows", "objects", "result"],
    meaning: "`rows` rows of a table were exported. `result` says whether more wait.",
    action: "Nothing.",
  },
  export_failed: {
    level: "error",
    worker: "edge",
    fields: ["table", "rows", "objects", "error"],
    meaning: "An export run failed. The next run continues at the same row.",
    action: "If three runs in a row fail, check R2, D1 and `GET /-/admin/export`.",
  },
  export_state_not_written: {
    level: "error",
    worker: "edge",
    fields: ["table", "error"],
    meaning: "R2 did not accept the state of the export. The next run lists more objects; no row is lost.",
    action: "Nothing, unless it persists.",
  },
  export_state_invalid: {
    level: "error",
    worker: "edge",
    fields: ["key"],
    meaning: "The state of the export is invalid. The run lists every object instead.",
    action: "Find out who has written to the bucket under `state/`.",
  },
  export_rows_missing: {
    level: "error",
    worker: "edge",
    fields: ["table", "from", "to"],
    meaning: "Row numbers have a gap: somebody deleted rows from the audit log.",
    action: "Treat it as an incident: `npx sallyport audit-verify --remote`.",
  },
  export_without_bucket: {
    level: "log",
    worker: "edge",
    fields: [],
    meaning: "The deployment binds no bucket as `EXPORT`, so the audit log is not exported. Once per isolate.",
    action: "Nothing if that is intended: `record.export` in the deployment file.",
  },
  // Seals
  seal_progressed: {
    level: "log",
    worker: "edge",
    fields: ["parts", "rows", "seals", "removed"],
    meaning:
      "`parts` objects with `rows` rows were written below `seals/`, `seals` ranges were sealed, and `removed` rows that were sealed before left D1.",
    action: "Nothing.",
  },
  seal_failed: {
    level: "error",
    worker: "edge",
    fields: ["parts", "rows", "seals", "removed", "error"],
    meaning: "A run of the sealing failed. No row leaves D1 meanwhile. The next run goes on.",
    action:
      "If it persists for an hour, check R2 and D1. If `error` says that an object is missing or altered, it is an incident: see docs/RUNBOOK.md.",
  },
  audit_database_filling: {
    level: "error",
    worker: "edge",
    fields: ["bytes"],
    meaning: "D1 has more than 6 of its 10 GB. At 10 GB no event is written any more.",
    action: "Set `audit.seal.keepMonths`, or a smaller one: see docs/RUNBOOK.md.",
  },
  // Configuration and bugs
  reserved_name: {
    level: "warn",
    worker: "edge",
    fields: ["rule", "cluster", "name"],
    meaning: "At start: an identity rule assigns a name that begins with `system:`.",
    action: "Check that this is intended.",
  },
  input_not_stored: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "A command does not read its input, and the object's storage did not take it. The session was ended.",
    action: "See `error`. An object stores 10 GB at most. If it persists, report it.",
  },
  session_failed: {
    level: "error",
    worker: "objects",
    fields: ["session", "error", "stack"],
    meaning: "A bug in Sallyport ended an open session. Its outcome is `failed`.",
    action: "Report it.",
  },
  internal_error: {
    level: "error",
    worker: "both",
    fields: ["ray", "error", "stack"],
    meaning: "A bug in Sallyport. The user got the ray id to report.",
    action: "Report it.",
  },
} as const satisfies Record<string, LogEventDescription>;

export type LogEvent = keyof typeof LOG_EVENTS;
