/** Every route of the API under `/-/`. A new one is an entry here and a handler in handlers/index.ts. */
import { CAST_CONTENT_TYPE } from "../../contract/recording.ts";
import type { Route } from "./route.ts";
import { apiRequestPage, apiRequestsQuery } from "./schemas/api-request.ts";
import { commandBody, commandQuery, endedAnswer, lockBody, lockQuery } from "./schemas/command.ts";
import { exportStatus } from "./schemas/export.ts";
import { liftedLock, lock, newLock } from "./schemas/lock.ts";
import { health, kubeconfigQuery, openApi, reasonBody, statedReason } from "./schemas/self-service.ts";
import { ownSessions, sessionDetail, sessionPage, sessionsQuery } from "./schemas/session.ts";
import { sessionIdParams, userParams } from "./schemas/shared.ts";
import { whoami } from "./schemas/whoami.ts";

export const ROUTES = {
  getHealth: {
    method: "GET",
    path: "/-/healthz",
    access: "public",
    summary: "Says that the Worker runs with a valid configuration. Asks nothing else, so it may be called often.",
    answer: { kind: "json", schema: health },
    denials: [],
  },
  headHealth: {
    method: "HEAD",
    path: "/-/healthz",
    access: "public",
    summary: "The same without a body.",
    answer: { kind: "json", schema: health },
    denials: [],
  },
  getOpenApi: {
    method: "GET",
    path: "/-/openapi.json",
    access: "user",
    summary: "Describes this API in OpenAPI 3.1.",
    answer: { kind: "json", schema: openApi },
    denials: [],
  },
  whoami: {
    method: "GET",
    path: "/-/whoami",
    access: "user",
    summary: "Says who the caller is, by which rule, and with which limits.",
    answer: { kind: "json", schema: whoami },
    denials: [],
  },
  getKubeconfig: {
    method: "GET",
    path: "/-/kubeconfig",
    access: "user",
    summary: "Returns a kubeconfig with a context for each cluster that the caller may reach. It has no secret.",
    query: kubeconfigQuery,
    answer: { kind: "file", contentType: "application/yaml", description: "A kubeconfig." },
    denials: [],
  },
  stateReason: {
    method: "POST",
    path: "/-/reason",
    access: "user",
    summary: "States what the caller's sessions of the next 15 minutes are for.",
    body: reasonBody,
    answer: { kind: "json", schema: statedReason },
    denials: [],
  },
  listOwnSessions: {
    method: "GET",
    path: "/-/sessions",
    access: "user",
    summary: "Lists the caller's own live sessions, newest first. Works while D1 does not answer.",
    answer: { kind: "json", schema: ownSessions },
    denials: [],
  },
  endOwnSession: {
    method: "DELETE",
    path: "/-/sessions/{id}",
    access: "user",
    summary: "Ends one of the caller's own live sessions within a second. Works while D1 does not answer.",
    params: sessionIdParams,
    query: commandQuery,
    body: commandBody,
    answer: { kind: "json", schema: endedAnswer },
    denials: ["not_found"],
  },
  listSessions: {
    method: "GET",
    path: "/-/admin/sessions",
    access: "auditor",
    summary:
      "Lists sessions, newest first. While D1 does not answer, `state=live` still works: with a `user` that user's object answers, without one the directory of live sessions.",
    query: sessionsQuery,
    answer: { kind: "json", schema: sessionPage },
    denials: ["audit_database_unavailable"],
  },
  getSession: {
    method: "GET",
    path: "/-/admin/sessions/{id}",
    access: "auditor",
    summary: "Shows one session with its events. The counts of a live one are those of this moment.",
    params: sessionIdParams,
    answer: { kind: "json", schema: sessionDetail },
    denials: ["not_found", "audit_database_unavailable"],
  },
  endSession: {
    method: "DELETE",
    path: "/-/admin/sessions/{id}",
    access: "admin",
    summary: "Ends a live session within a second. Works while D1 does not answer.",
    params: sessionIdParams,
    query: commandQuery,
    body: commandBody,
    answer: { kind: "json", schema: endedAnswer },
    denials: ["not_found"],
  },
  getRecording: {
    method: "GET",
    path: "/-/admin/sessions/{id}/recording",
    access: "auditor",
    summary: "Returns a session's recording; of a live session, what there is so far. Reading it is in the audit log.",
    params: sessionIdParams,
    answer: { kind: "file", contentType: CAST_CONTENT_TYPE, description: "The recording, in asciicast v2." },
    denials: ["not_found", "recording_unavailable"],
  },
  endUserSessions: {
    method: "DELETE",
    path: "/-/admin/users/{email}/sessions",
    access: "admin",
    summary: "Ends all of a user's live sessions. To have none is no error. Works while D1 does not answer.",
    params: userParams,
    query: commandQuery,
    body: commandBody,
    answer: { kind: "json", schema: endedAnswer },
    denials: [],
  },
  listApiRequests: {
    method: "GET",
    path: "/-/admin/requests",
    access: "auditor",
    summary: "Lists the API requests in the audit log, newest first.",
    query: apiRequestsQuery,
    answer: { kind: "json", schema: apiRequestPage },
    denials: ["audit_database_unavailable"],
  },
  getExport: {
    method: "GET",
    path: "/-/admin/export",
    access: "auditor",
    summary: "Shows how far the export of the audit log is, what waits, and what stopped the last run.",
    answer: { kind: "json", schema: exportStatus },
    denials: ["export_unavailable", "audit_database_unavailable"],
  },
  getLock: {
    method: "GET",
    path: "/-/admin/locks/{email}",
    access: "auditor",
    summary: "Shows the lock that holds for a user.",
    params: userParams,
    answer: { kind: "json", schema: lock },
    denials: ["not_found"],
  },
  lockUser: {
    method: "PUT",
    path: "/-/admin/locks/{email}",
    access: "admin",
    summary:
      "Ends a user's sessions and refuses everything from them, for some minutes or until the lock is lifted. Works while D1 does not answer.",
    params: userParams,
    query: lockQuery,
    body: lockBody,
    answer: { kind: "json", schema: newLock },
    denials: [],
  },
  unlockUser: {
    method: "DELETE",
    path: "/-/admin/locks/{email}",
    access: "admin",
    summary: "Lifts a user's lock.",
    params: userParams,
    query: commandQuery,
    body: commandBody,
    answer: { kind: "json", schema: liftedLock },
    denials: ["not_found"],
  },
} as const satisfies Record<string, Route>;

/** A route's name: its `operationId` in the OpenAPI document, and its handler's key. */
export type RouteName = keyof typeof ROUTES;
