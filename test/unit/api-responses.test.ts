import { describe, expect, it } from "vitest";
import { parseStatus, STATUS_CODES } from "../../kubernetes/status.ts";
import { denyApi, errorCodeOf } from "../../worker/api/responses.ts";
import { DENIALS, type DenialCode, denial } from "../../worker/denials.ts";

const CODES = Object.keys(DENIALS) as DenialCode[];

describe("a refusal of the API", () => {
  it.each(CODES)("is an error object and a metav1.Status in one: %s", async (code) => {
    const response = denyApi(denial(code, "what happened; what to do"));
    expect(response.status).toBe(STATUS_CODES[DENIALS[code]]);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("retry-after")).toBeNull();
    const body = await response.text();
    expect(JSON.parse(body)).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "what happened; what to do",
      reason: DENIALS[code],
      code: response.status,
      error: { code: errorCodeOf(code), message: "what happened; what to do" },
    });
    expect(parseStatus(body)).toMatchObject({ status: "Failure", message: "what happened; what to do" });
  });

  it("keeps the error codes that clients of the admin API know", () => {
    expect({
      bad_request: errorCodeOf("bad_request"),
      not_admin: errorCodeOf("not_admin"),
      cross_site: errorCodeOf("cross_site"),
      no_identity: errorCodeOf("no_identity"),
      not_found: errorCodeOf("not_found"),
      method_not_served: errorCodeOf("method_not_served"),
      audit_database_unavailable: errorCodeOf("audit_database_unavailable"),
      object_unavailable: errorCodeOf("object_unavailable"),
      recording_unavailable: errorCodeOf("recording_unavailable"),
      export_unavailable: errorCodeOf("export_unavailable"),
    }).toEqual({
      bad_request: "bad_request",
      not_admin: "forbidden",
      cross_site: "forbidden",
      no_identity: "forbidden",
      not_found: "not_found",
      method_not_served: "method_not_allowed",
      audit_database_unavailable: "audit_database_unavailable",
      object_unavailable: "object_unavailable",
      recording_unavailable: "recording_unavailable",
      export_unavailable: "export_unavailable",
    });
  });

  it("carries further headers", () => {
    const response = denyApi(denial("method_not_served", "use GET"), { Allow: "GET" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"]);
  });
});
