import { expect } from "vitest";
import { STATUS_CODES, type StatusReason } from "../../kubernetes/status.ts";
import { errorCodeOf } from "../../worker/api/responses.ts";
import { DENIALS, type Denial } from "../../worker/denials.ts";

type Message = string | RegExp;

/** Expects a `metav1.Status` such as kubectl prints. @returns its body as text */
export async function expectStatus(response: Response, reason: StatusReason, message: Message): Promise<string> {
  const body = await response.text();
  expect(response.status, body).toBe(STATUS_CODES[reason]);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(JSON.parse(body)).toEqual(statusOf(reason, message));
  return body;
}

/** Expects a denial of the API under `/-/`: a `metav1.Status` that has an `error` too. */
export async function expectApiDenial(response: Response, code: Denial["code"], message: Message): Promise<void> {
  const body = await response.text();
  const reason = DENIALS[code];
  expect(response.status, body).toBe(STATUS_CODES[reason]);
  expect(response.headers.get("content-type")).toBe("application/json");
  const error = { code: errorCodeOf(code), message: matching(message) };
  expect(JSON.parse(body)).toEqual({ ...statusOf(reason, message), error });
}

function statusOf(reason: StatusReason, message: Message) {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: matching(message),
    reason,
    code: STATUS_CODES[reason],
  };
}

function matching(message: Message): unknown {
  return typeof message === "string" ? message : expect.stringMatching(message);
}

/** What a refusal's `Status` says. */
export async function readStatus(response: Response) {
  const { message, reason } = (await response.json()) as { message: string; reason: string };
  return { code: response.status, reason, message };
}
