/**
 * Every log line that the two Workers write. docs/MONITORING.md is made from this list
 * (`npm run docs:generate`), so an event's name, its fields and its advice are in one
 * place. Names are stable: alerts match on them.
 */
interface LogEventDescription {
  readonly level: "log" | "warn" | "error";
  /** Which Worker writes it. */
  readonly worker: "edge" | "objects" | "both";
  /** Names of the fields that it carries beside `event` and `level`. */
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
    meaning:
      "A session ended. `hash` is the last link of its chain, kept where nobody who can write to D1 can reach it.",
    action: "Keep these lines elsewhere (Logpush): they prove the audit log.",
  },
  audit_events_not_delivered: {
    level: "error",
    worker: "objects",
    fields: ["events", "attempt", "error"],
    meaning: "D1 did not take events of one user. They wait in the user's object and are retried after 1 s to 30 s.",
    action: "Wait a minute, then check D1's status and size. With `fail-closed`, sessions are being refused.",
  },
  audit_refusal_rate_limited: {
    level: "error",
    worker: "objects",
    fields: [],
    meaning: "One user had more than 120 refused sessions within a minute. This one is not in the audit log.",
    action: "Find out who it is: a script without permissions, or somebody probing.",
  },
  audit_refusal_queue_full: {
    level: "error",
    worker: "objects",
    fields: ["queued"],
    meaning: "A refused session is not in the audit log: too many events wait for D1.",
    action: "As for `audit_events_not_delivered`; D1 has been away for long.",
  },
  request_rows_not_delivered: {
    level: "error",
    worker: "edge",
    fields: ["rows", "waiting", "lost", "error"],
    meaning: "D1 did not take rows of API requests. They wait in the memory of one isolate and are lost with it.",
    action: "As for `audit_events_not_delivered`.",
  },
  request_rows_losing: {
    level: "error",
    worker: "edge",
    fields: ["cause"],
    meaning: "From here on rows of API requests are lost: an isolate's queue is full, or D1 refuses a row by itself.",
    action: "The audit log has a gap. Find the cause before `request_rows_lost` says how large it is.",
  },
  request_rows_lost: {
    level: "error",
    worker: "edge",
    fields: ["rows"],
    meaning: "So many rows were lost. They become rows of category `dropped` once D1 takes rows again.",
    action: "Query them: `SELECT * FROM requests WHERE category = 'dropped'`.",
  },
  request_not_recorded: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "Sallyport failed to make the row of a request.",
    action: "Report it.",
  },
  // Recordings
  recording_not_uploaded: {
    level: "error",
    worker: "objects",
    fields: ["session", "attempt", "error"],
    meaning: "R2 did not take a recording. It waits in the object and is retried after 1 s to 5 min.",
    action: "Wait some minutes, then check R2's status and whether the bucket exists.",
  },
  recording_stopped: {
    level: "error",
    worker: "objects",
    fields: ["session", "cause"],
    meaning: "This recording stops here: the object's storage failed, or 512 MiB wait for R2.",
    action: "As for `recording_not_uploaded`. Sessions whose rule has `onFailure: end` are being ended.",
  },
  recording_not_started: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "A session cannot be recorded from its start.",
    action: "As for `recording_stopped`.",
  },
  recording_upload_lost: {
    level: "error",
    worker: "objects",
    fields: ["session", "parts"],
    meaning: "R2 no longer has an unfinished upload. The rest of the recording stays in the object.",
    action:
      "Somebody, or the bucket's lifecycle rule, aborted unfinished uploads too early: correct the rule. `GET /-/admin/sessions/{id}/recording` returns what is left.",
  },
  recording_not_readable: {
    level: "error",
    worker: "edge",
    fields: ["session", "error"],
    meaning: "R2 did not return a recording, and the object does not have it.",
    action: "Check R2's status.",
  },
  // The cluster
  upgrade_failed: {
    level: "error",
    worker: "objects",
    fields: ["session", "error"],
    meaning: "The cluster did not open a session: it was not reached, or did not answer within 40 s.",
    action: "Check the tunnel, the connector and the API server, in this order.",
  },
  cluster_request_failed: {
    level: "error",
    worker: "edge",
    fields: ["method", "error"],
    meaning: "An API request did not reach the cluster.",
    action: "As for `upgrade_failed`.",
  },
  // Access
  access_keys_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "Access tokens cannot be verified. Everybody without a recently verified token gets 503.",
    action: "Check Access's status, and `access.teamDomain` in the configuration.",
  },
  access_token_error_unknown: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "A token was refused because of an error that Sallyport does not know.",
    action: "Report it, with the `error` field.",
  },
  access_identity_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "Access did not return groups or device posture. Whoever needs them gets 503.",
    action: "Check Access's status.",
  },
  // The API under /-/ and the objects
  object_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["method", "attempt", "error"],
    meaning:
      "A user's object did not answer, also after retries. The caller got 503. An admin command may be half done.",
    action: "Repeat the command. If this persists, check the status of Durable Objects.",
  },
  contract_mismatch: {
    level: "error",
    worker: "both",
    fields: ["method", "detail"],
    meaning: "The edge and the objects' Worker do not understand each other. Whoever asked got 503.",
    action:
      "Normal for seconds during a deploy. Otherwise deploy both Workers from one checkout: `npx sallyport deploy`.",
  },
  object_schema_newer: {
    level: "error",
    worker: "objects",
    fields: ["found", "known"],
    meaning: "A newer version of the objects' Worker has used this object, which serves nobody until it is back.",
    action: "Deploy the newest version of the objects' Worker again; see docs/STORAGE.md.",
  },
  audit_database_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "D1 did not answer a query of the API, which answered 503.",
    action: "Check D1's status.",
  },
  export_bucket_unavailable: {
    level: "error",
    worker: "edge",
    fields: ["error"],
    meaning: "The export's bucket did not answer the API, which answered 503.",
    action: "Check R2's status.",
  },
  // Export
  export_progressed: {
    level: "log",
    worker: "edge",
    fields: ["table", "rows", "objects", "result"],
    meaning: "So many rows of a table were exported; `result` says whether more wait.",
    action: "Nothing.",
  },
  export_failed: {
    level: "error",
    worker: "edge",
    fields: ["table", "rows", "objects", "error"],
    meaning: "The export stopped. The next run continues where it was.",
    action: "After three in a row, check R2, D1 and `GET /-/admin/export`.",
  },
  export_state_not_written: {
    level: "error",
    worker: "edge",
    fields: ["table", "error"],
    meaning: "R2 did not take the export's own state. The next run lists more; no row is lost.",
    action: "Nothing, unless it persists.",
  },
  export_state_invalid: {
    level: "error",
    worker: "edge",
    fields: ["key"],
    meaning: "The export's state is not what an export writes: every object is listed instead.",
    action: "Find out who can write to the bucket under `state/`.",
  },
  export_rows_missing: {
    level: "error",
    worker: "edge",
    fields: ["table", "from", "to"],
    meaning: "Row numbers have a gap: somebody has removed rows from the audit log.",
    action: "Treat it as an incident: `npx sallyport audit-verify --remote`.",
  },
  export_without_bucket: {
    level: "warn",
    worker: "edge",
    fields: [],
    meaning: "The cron trigger runs, but the deployment binds no bucket as `EXPORT`.",
    action: "Bind one, or remove the trigger.",
  },
  // Configuration and bugs
  reserved_name: {
    level: "warn",
    worker: "edge",
    fields: ["rule", "cluster", "name"],
    meaning: "At start: an identity rule hands out a name that begins with `system:`.",
    action: "Check that this is intended.",
  },
  internal_error: {
    level: "error",
    worker: "both",
    fields: ["ray", "error", "stack"],
    meaning: "A bug of Sallyport's. The person got the ray id to report.",
    action: "Report it.",
  },
} as const satisfies Record<string, LogEventDescription>;

export type LogEvent = keyof typeof LOG_EVENTS;
