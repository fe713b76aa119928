import { expect } from "vitest";
import { STATUS_CODES, type StatusReason } from "../../kubernetes/status.ts";

/** Expects a `metav1.Status` such as kubectl prints. @returns its body as text */
export async function expectStatus(
  response: Response,
  reason: StatusReason,
  message: string | RegExp,
): Promise<string> {
  const body = await response.text();
  expect(response.status, body).toBe(STATUS_CODES[reason]);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(JSON.parse(body)).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: typeof message === "string" ? message : expect.stringMatching(message),
    reason,
    code: STATUS_CODES[reason],
  });
  return body;
}
