/** Sessions, as `GET /-/admin/sessions` and `GET /-/admin/sessions/{id}` take filters and answer. */
import * as z from "zod";
import { EVENT_TYPES, OUTCOMES, RECORDING_STATES } from "../../../audit/events.ts";
import { SESSION_KINDS } from "../../../kubernetes/session-target.ts";
import { accessDecision } from "./access.ts";
import { sessionCursor } from "./session-cursor.ts";
import {
  deviceId,
  formatParameter,
  limitParameter,
  nextPage,
  signIn,
  time,
  timeParameter,
  userParameter,
} from "./shared.ts";

const KINDS = SESSION_KINDS.map((kind) => `\`${kind}\``).join(", ");

const periodAndPage = {
  since: timeParameter.exactOptional().describe("Only sessions that started at this time or later."),
  until: timeParameter.exactOptional().describe("Only sessions that started before this time."),
  limit: limitParameter,
  cursor: sessionCursor.exactOptional(),
};

export const sessionsQuery = z.strictObject({
  state: z.enum(["live", "ended", "all"]).default("all").describe("Only live sessions, or only ended ones."),
  user: userParameter.exactOptional(),
  namespace: z.string().exactOptional().describe("Only sessions in this namespace."),
  pod: z.string().exactOptional().describe("Only sessions in this pod or virtual machine."),
  kind: z.string().exactOptional().describe(`Only sessions of this kind: ${KINDS}.`),
  cluster: z.string().exactOptional().describe("Only sessions in this cluster, by its name in the configuration."),
  rule: z.string().exactOptional().describe("Only sessions that this rule allowed."),
  outcome: z.enum(OUTCOMES).exactOptional().describe("Only sessions that ended so."),
  recorded: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .exactOptional()
    .describe("Only sessions that have a recording, or only those without. Of live ones: that are recorded, or not."),
  ...periodAndPage,
  format: formatParameter,
});

export const ownSessionsQuery = z.strictObject({
  state: z
    .enum(["live", "ended", "all"])
    .default("live")
    .describe("`live` works while D1 does not answer. `ended` and `all` are from D1."),
  ...periodAndPage,
});

const forward = z
  .strictObject({
    port: z
      .int()
      .nullable()
      .describe("Null: what was not told apart, after the 64th port or the 1,024th open connection."),
    connections: z.int().describe("Connections that the client opened to the port."),
    bytesIn: z.int().describe("Payload bytes from the client."),
    bytesOut: z.int().describe("Payload bytes from the cluster."),
    errors: z.int().describe("Connections for which the cluster reported an error."),
    firstError: z.string().nullable().describe("The first of these errors, at most 512 bytes."),
  })
  .meta({ id: "Forward", description: "The traffic of one port of a port-forward." });

const sessionFields = {
  id: z.string().describe("The session's id. It is in the cluster's own audit log, too."),
  state: z.enum(["live", "ended"]).describe("Whether the session is open."),
  user: z.string().describe("The Access identity: an email address, or `service:<client id>`."),
  kubernetesUser: z.string().describe("The user that the cluster saw."),
  kubernetesGroups: z.array(z.string()).readonly().describe("The groups that the cluster saw."),
  cluster: z.string().describe("The cluster's name in the configuration."),
  kind: z.string().describe(`The kind of session: ${KINDS}.`),
  namespace: z.string().describe("The namespace of the pod or virtual machine."),
  pod: z.string().describe("The pod or virtual machine."),
  container: z.string().nullable().describe("The container that the client named."),
  command: z.array(z.string()).readonly().describe("The command of an exec session."),
  tty: z.boolean().describe("Whether the session has a terminal."),
  ports: z.array(z.int()).readonly().describe("The ports that the client asked for."),
  clientAddress: z.string().nullable().describe("The client's address, as Cloudflare saw it."),
  country: z.string().nullable().describe("The country of that address."),
  signIn,
  deviceId,
  rule: z.string().nullable().describe("The rule that allowed the session."),
  grants: z
    .array(z.string())
    .readonly()
    .nullable()
    .describe("The grants that added to the user's groups or satisfied the rule. Null: there was none."),
  accessReason: z.string().nullable().describe("The reason that the user stated with `POST /-/reason`."),
  userAgent: z.string().nullable().describe("What the client calls itself."),
  startedAt: time.describe("When the session was requested."),
  lastUsedAt: time
    .nullable()
    .describe("When its client or its cluster last sent something. Null: it has ended, or nobody knows."),
  waitsFor: z
    .enum(["approval", "watcher"])
    .nullable()
    .describe(
      "What it waits for: an approval, or somebody who watches it. Null: it goes on, has ended, or nobody knows.",
    ),
  endedAt: time.nullable().describe("When it ended. Null: it is live."),
  outcome: z.enum(OUTCOMES).nullable().describe("How it ended. Null: it is live."),
  exitCode: z.int().nullable().describe("The command's exit code."),
  reason: z.string().nullable().describe("What ended or refused it, for a person."),
  endedBy: z.string().nullable().describe("The administrator who ended it, or its own user."),
  bytesIn: z.int().nullable().describe("WebSocket payload bytes from the client."),
  bytesOut: z.int().nullable().describe("WebSocket payload bytes to the client."),
  messagesIn: z.int().nullable().describe("WebSocket messages from the client."),
  messagesOut: z.int().nullable().describe("WebSocket messages to the client."),
  forwards: z.array(forward).readonly().nullable().describe("The traffic of a port-forward, by port."),
  unreadable: z
    .boolean()
    .describe("The traffic did not fit its protocol: `forwards` and `exitCode` lack what came after."),
  recordingMode: z.enum(["off", "output", "full"]).describe("What was to be recorded."),
  recording: z
    .enum(RECORDING_STATES)
    .nullable()
    .describe("Whether the recording is complete. Null: there is none yet."),
  recordingBytes: z.int().nullable().describe("The size of the recording."),
};

export const session = z
  .strictObject(sessionFields)
  .meta({ id: "Session", description: "One session, live, ended or refused." });

export const sessionEvent = z
  .strictObject({
    seq: z.int().describe("0, 1, 2 … within the session."),
    at: time.describe("When it happened."),
    type: z.enum(EVENT_TYPES).describe("What happened."),
    data: z.record(z.string(), z.unknown()).describe("The event's fields, named as in the table `events` of D1."),
    prevHash: z.string().describe("The hash of the event before it in its chain. Empty for the first."),
    hash: z.string().describe("SHA-256 of `raw` in UTF-8, in hexadecimal."),
    raw: z
      .string()
      .describe(
        "The text that was hashed: a JSON array of prevHash, the session's id, seq, at in ms, type, data as text.",
      ),
  })
  .meta({ id: "SessionEvent", description: "One event of a session in the audit log." });

export const sessionPage = z
  .strictObject({
    items: z.array(session).describe("Newest first."),
    next: nextPage,
    complete: z
      .boolean()
      .describe(
        "False while D1 does not answer and the directory of live sessions, which answers instead, has not heard from every user's object since its last restart. Also then long commands are cut.",
      ),
  })
  .meta({ id: "SessionPage", description: "One page of sessions." });

export const ownSessions = z
  .strictObject({ items: z.array(session).describe("Newest first."), next: nextPage })
  .meta({ id: "OwnSessions", description: "The caller's own sessions." });

export const sessionDetail = z
  .strictObject({
    ...sessionFields,
    events: z
      .array(sessionEvent)
      .nullable()
      .describe("The session's events in order. Null: the session is live, and D1 does not answer."),
    approvals: z
      .array(accessDecision)
      .nullable()
      .describe(
        "What was decided about the grants that it ran with, or that it waited for: from a week before its start to its end, oldest first. Null: D1 does not answer.",
      ),
  })
  .meta({ id: "SessionDetail", description: "One session with its events." });
