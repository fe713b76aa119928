/** The admin API's answers: JSON, never cached, errors as `{"error": {"code", "message"}}`. */

export type AdminErrorCode =
  | "bad_request"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "audit_database_unavailable"
  | "object_unavailable"
  | "recording_unavailable"
  | "export_unavailable";

const STATUS: Readonly<Record<AdminErrorCode, number>> = {
  bad_request: 400,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  audit_database_unavailable: 503,
  object_unavailable: 503,
  recording_unavailable: 503,
  export_unavailable: 503,
};

export function json(body: unknown): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

/** @param message for a person: what happened and what to do */
export function jsonError(code: AdminErrorCode, message: string, headers: Record<string, string> = {}): Response {
  return Response.json(
    { error: { code, message } },
    { status: STATUS[code], headers: { "Cache-Control": "no-store", ...headers } },
  );
}
