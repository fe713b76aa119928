/** What the console says of API requests in the audit log. */
import { describe, expect, it } from "vitest";
import type { ApiRequest } from "../../../console/src/api/endpoints.ts";
import { momentOf, outcomeOf, outcomeTag, requestObject, requestPurpose } from "../../../console/src/requests.ts";

const NOTHING = { verb: null, apiGroup: null, resource: null, subresource: null, method: null, path: null };

describe("the outcome of a request", () => {
  it.each([
    ["allowed", 200, "succeeded", "200", "quiet"],
    ["allowed", 399, "succeeded", "399", "quiet"],
    ["allowed", 403, "forbidden", "forbidden", "bad"],
    ["allowed", 404, "failed", "404", "warn"],
    ["allowed", null, "unknown", "no answer", "warn"],
    // Sallyport's own refusal has a status for some, and is one all the same.
    ["refused", null, "refused", "refused", "bad"],
    ["refused", 200, "refused", "refused", "bad"],
    // Rows of before there were decisions.
    [null, 201, "succeeded", "201", "quiet"],
  ] as const)("decision %s with status %s is %s", (decision, status, outcome, text, tone) => {
    expect(outcomeOf({ decision, status })).toBe(outcome);
    expect(outcomeTag({ category: "mutation", decision, status })).toEqual({ text, tone });
  });

  it("is none for rows that were not written", () => {
    expect(outcomeTag({ category: "dropped", decision: "allowed", status: null }).text).toBe("not written");
  });
});

describe("what was asked for", () => {
  it.each([
    [{ verb: "list", apiGroup: "", resource: "secrets" }, "list secrets"],
    [
      { verb: "patch", apiGroup: "apps", resource: "deployments", subresource: "scale" },
      "patch deployments.apps/scale",
    ],
    [{ verb: "create", apiGroup: null, resource: "pods", subresource: "" }, "create pods"],
    [{ method: "GET", path: "/version", verb: "get" }, "GET /version"],
    [{ method: "PUT", path: "/-/admin/locks/bob@example.com" }, "PUT /-/admin/locks/bob@example.com"],
    [{}, ""],
  ] satisfies [Partial<ApiRequest>, string][])("%j is %s", (some, text) => {
    expect(requestPurpose({ ...NOTHING, ...some })).toBe(text);
  });

  it.each([
    ["demo", "db", "demo/db"],
    ["demo", null, "demo"],
    [null, "node-1", "node-1"],
    ["", "", null],
    [null, null, null],
  ])("in namespace %s with name %s is %s", (namespace, name, text) => {
    expect(requestObject({ namespace, name })).toBe(text);
  });
});

it("the moment of a request holds it, and nothing of the next millisecond", () => {
  const { since, until } = momentOf({ id: "2026-11-27T08:00:00.999Z-0123456789abcdef" });
  expect([since, until]).toEqual(["2026-11-27T08:00:00.999Z", "2026-11-27T08:00:01.000Z"]);
});
