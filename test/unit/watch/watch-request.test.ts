import { expect, it } from "vitest";
import { CONTRACT_VERSION } from "../../../contract/version.ts";
import {
  isWatchRequest,
  readWatchAnswer,
  readWatchRequest,
  refuseWatch,
  watchHeaders,
} from "../../../contract/watch.ts";
import { refusalOf, toResponse } from "../../../durable/refusal.ts";

const WATCH = {
  sessionId: "s".repeat(64),
  watcher: {
    ...{ name: "auditor-ü@example.com", address: "203.0.113.7", country: null },
    person: { subject: "sub-auditor", kubernetesUsers: ["auditor", "auditor@other"] },
  },
};

it("crosses as it is", () => {
  const headers = watchHeaders(WATCH);
  expect(isWatchRequest({ headers })).toBe(true);
  expect(readWatchRequest({ headers })).toEqual({ ok: true, value: WATCH });
  expect(isWatchRequest({ headers: new Headers() })).toBe(false);
});

it.each([
  ["nothing", ""],
  ["no JSON", "x"],
  ["a bad encoding", "%"],
  ["another version", encodeURIComponent(JSON.stringify({ version: CONTRACT_VERSION + 1, ...WATCH }))],
  ["an unknown field", encodeURIComponent(JSON.stringify({ version: CONTRACT_VERSION, ...WATCH, more: 1 }))],
])("is refused with %s", (_, value) => {
  const read = readWatchRequest({ headers: new Headers({ "Sallyport-Watch": value }) });
  expect(read).toMatchObject({ ok: false, error: { code: "contract_mismatch" } });
});

it("an object's refusal arrives, and what older code answers has a message of its own", async () => {
  const denial = { code: "too_many_watchers", message: "10 people watch" } as const;
  expect(await readWatchAnswer(refuseWatch(denial))).toEqual({ ok: false, error: denial });
  const older = toResponse(refusalOf({ code: "contract_mismatch", message: "a session request without a plan" }));
  const message = expect.stringContaining("an earlier version of Sallyport");
  expect(await readWatchAnswer(older)).toEqual({ ok: false, error: { code: "contract_mismatch", message } });
});
