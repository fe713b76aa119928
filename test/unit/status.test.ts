import { describe, expect, test } from "vitest";
import {
  exitCodeOf,
  failureStatus,
  MAX_STATUS_BYTES,
  parseStatus,
  STATUS_CODES,
  type StatusReason,
  statusResponse,
} from "../../kubernetes/status.ts";

describe("a failure", () => {
  test("is a complete metav1.Status with the code of its reason", () => {
    expect(failureStatus({ reason: "Forbidden", message: "no rule allows this" })).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "no rule allows this",
      reason: "Forbidden",
      code: 403,
    });
  });

  test("can carry another code and details", () => {
    const details = { kind: "pods", name: "shell", retryAfterSeconds: 5 };
    const status = failureStatus({ reason: "InternalError", message: "m", code: 502, details });
    expect(status).toMatchObject({ code: 502, details });
  });

  test("every reason has an error code", () => {
    for (const reason of Object.keys(STATUS_CODES) as StatusReason[]) {
      expect(failureStatus({ reason, message: "" }).code).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("a status as an HTTP response", () => {
  test("has the code and the JSON, and must not be cached", async () => {
    const status = failureStatus({ reason: "Unauthorized", message: "sign in" });
    const response = statusResponse(status);
    expect(response.status).toBe(401);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-cache, private");
    expect(response.headers.has("retry-after")).toBe(false);
    expect(await response.json()).toEqual(status);
  });

  test("tells client-go when to retry", () => {
    const status = failureStatus({ reason: "TooManyRequests", message: "m", details: { retryAfterSeconds: 7 } });
    expect(statusResponse(status).headers.get("retry-after")).toBe("7");
  });

  test("without a code is 200 for success and 500 for failure", () => {
    const bare = { kind: "Status", apiVersion: "v1", metadata: {} } as const;
    expect(statusResponse({ ...bare, status: "Success" }).status).toBe(200);
    expect(statusResponse({ ...bare, status: "Failure" }).status).toBe(500);
  });
});

describe("a status from channel 3 gives the exit code", () => {
  const exited = (message: string) =>
    `{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"${message}"}]}}`;
  test.each<[string, number | undefined]>([
    // captured
    ['{"metadata":{},"status":"Success"}', 0],
    [
      '{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: error executing command [sh -c echo out; echo err \\u003e\\u00262; exit 3], exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}',
      3,
    ],
    [
      '{"metadata":{},"status":"Failure","message":"Internal error occurred: exec: \\"nosuch\\": executable file not found in $PATH: unknown","reason":"InternalError","details":{"causes":[{"message":"Internal error occurred"}]},"code":500}',
      undefined,
    ],
    [exited("137"), 137],
    [exited("3221225786"), 3221225786],
    [exited("-1"), -1],
    [exited("three"), undefined],
    [exited("1e3"), undefined],
    [exited(""), undefined],
    ['{"status":"Failure","reason":"NonZeroExitCode"}', undefined],
    [
      '{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[null,7,{"reason":"ExitCode","message":"4"}]}}',
      4,
    ],
    [
      '{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":4}]}}',
      undefined,
    ],
    ['{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"4"}]}}', undefined],
  ])("%s gives %s", (json, code) => {
    const status = parseStatus(new TextEncoder().encode(json));
    expect(status && exitCodeOf(status)).toBe(code);
    expect(parseStatus(json)).toEqual(status);
  });
});

describe("parsing a status never throws", () => {
  test.each([
    [""],
    ["null"],
    ["7"],
    ['"Success"'],
    ["[]"],
    ["{}"],
    ["{"],
    ['{"status":"success"}'],
    ['{"status":{"Success":1}}'],
    ['{"kind":"Pod","status":"Success"}'],
    ["[".repeat(60_000)],
    [`{"status":"Success","message":"${"x".repeat(MAX_STATUS_BYTES)}"}`],
  ])("%.40s is no status", (json) => {
    expect(parseStatus(json)).toBeUndefined();
    expect(parseStatus(new TextEncoder().encode(json))).toBeUndefined();
  });

  test("bytes that are not UTF-8 become replacement characters", () => {
    const bytes = new TextEncoder().encode('{"status":"Failure","message":"?"}');
    bytes[31] = 0xff;
    expect(parseStatus(bytes)).toMatchObject({ status: "Failure", message: "\ufffd" });
    expect(parseStatus(Uint8Array.of(0xff, 0xfe))).toBeUndefined();
  });

  test("a view into a larger buffer is read from its own offset", () => {
    const whole = new TextEncoder().encode('\x03{"status":"Success"}');
    expect(parseStatus(whole.subarray(1))).toMatchObject({ status: "Success" });
  });

  test("unknown fields and fields of the wrong type are left out", () => {
    const json =
      '{"status":"Failure","message":7,"reason":"Odd","code":"x","new":{},"__proto__":{"code":1},"details":{"name":"n","uid":false,"causes":"?","retryAfterSeconds":2.5}}';
    expect(parseStatus(json)).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      reason: "Odd",
      details: { name: "n" },
    });
  });

  test("a status of ours parses to itself, up to the size limit", () => {
    const status = failureStatus({
      reason: "Timeout",
      message: "m",
      details: { causes: [{ field: "f" }], retryAfterSeconds: 1 },
    });
    expect(parseStatus(JSON.stringify(status))).toEqual(status);
    const frame = JSON.stringify({ status: "Success", message: "" });
    const longest = JSON.stringify({ status: "Success", message: "x".repeat(MAX_STATUS_BYTES - frame.length) });
    expect(parseStatus(longest)).toBeDefined();
    expect(parseStatus(`${longest} `)).toBeUndefined();
  });
});
