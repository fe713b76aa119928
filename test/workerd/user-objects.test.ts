/** Calls to users' objects, and what a failure becomes. When they are made again: test/unit/retry.test.ts. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { userObjectName } from "../../contract/placement.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { MAX_FAILED_TRIES } from "../../contract/user-object.ts";
import {
  invokeUserObject,
  invokeUserObjects,
  recordRequest,
  sendAttempt,
  sessionObjectAddress,
  userObjectAddress,
} from "../../worker/sessions/user-objects.ts";

import { AUDITED_REQUEST, requestIdAt } from "../support/audited-request.ts";
import { changeTimers, shortenTimer } from "./timers.ts";

type Namespace = Parameters<typeof userObjectAddress>[0];
type Answer = () => unknown;

const UNAVAILABLE = { ok: false, error: { code: "object_unavailable", message: expect.stringContaining("try again") } };
const OBJECT_ID = "0123456789abcdef".repeat(4);

/** An exception as the platform throws it. */
function platformError(flags: object): Error {
  return Object.assign(new Error("Network connection lost."), flags);
}

const fail = (error: unknown) => () => Promise.reject(error);
const succeed = (value: unknown) => () => Promise.resolve({ ok: true, value });

/** A namespace whose objects give these answers, one per call, and the stubs that were made. */
function namespaceOf(answers: readonly Answer[]) {
  const remaining = [...answers];
  const stubs: string[] = [];
  const answer = () => (remaining.shift() ?? fail(new Error("one call too many")))();
  const namespace = {
    idFromName: (name: string) => name,
    idFromString: (id: string) => {
      if (id !== OBJECT_ID) throw new TypeError("id of another namespace");
      return id;
    },
    get: (id: string, options?: { locationHint?: string }) => {
      stubs.push(options?.locationHint ? `${id} at ${options.locationHint}` : id);
      return { list: answer, recordRequest: answer, terminate: answer, currentLock: answer, fetch: answer };
    },
  } as unknown as Namespace;
  return { namespace, stubs };
}

let logged: Record<string, unknown>[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => void vi.restoreAllMocks());

describe("a call", () => {
  const fields = { sessionId: "s", by: "admin@example.com", reason: "drill" };
  const invoke = (answers: readonly Answer[]) => {
    const { namespace, stubs } = namespaceOf(answers);
    const address = userObjectAddress(namespace, "alice@example.com", null);
    return { answer: invokeUserObject(namespace, address, "terminate", fields), stubs };
  };

  test("returns the object's value", async () => {
    const { answer, stubs } = invoke([succeed(true)]);
    expect(await answer).toEqual({ ok: true, value: true });
    expect([stubs.length, logged]).toEqual([1, []]);
  });

  test("has a new stub for each try", async () => {
    const { answer, stubs } = invoke([fail(platformError({ retryable: true })), succeed(false)]);
    expect(await answer).toEqual({ ok: true, value: false });
    expect([stubs.length, logged]).toEqual([2, []]);
  });

  test("that fails is logged, and its caller is told to try again", async () => {
    const { answer } = invoke([fail(platformError({ remote: true }))]);
    expect(await answer).toEqual(UNAVAILABLE);
    expect(logged).toEqual([
      {
        ...{ event: "object_unavailable", level: "error", method: "terminate", attempt: 1 },
        error: "Error: Network connection lost.",
      },
    ]);
  });

  test("passes on what the object refuses, without a second try", async () => {
    const error = { code: "contract_mismatch", message: "try again in a minute" };
    const { answer, stubs } = invoke([() => Promise.resolve({ ok: false, error })]);
    expect(await answer).toEqual({ ok: false, error });
    expect(stubs.length).toBe(1);
  });

  test("that is answered with something else is a contract mismatch", async () => {
    const { answer } = invoke([() => Promise.resolve(undefined)]);
    expect(await answer).toMatchObject({ ok: false, error: { code: "contract_mismatch" } });
  });
});

describe("a call to several objects of a user", () => {
  test("returns all their values, each object at its location", async () => {
    const { namespace, stubs } = namespaceOf([succeed(null), succeed(null)]);
    const answer = await invokeUserObjects(namespace, "alice@example.com", [null, "weur"], "currentLock", () => ({}));
    expect(answer).toEqual({ ok: true, value: [null, null] });
    expect(stubs).toEqual(["alice@example.com", "alice@example.com weur at weur"]);
  });

  test("is answered when all of them are, and fails if one of them does", async () => {
    let isLastDone = false;
    const last = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      isLastDone = true;
      return { ok: true, value: [] };
    };
    const { namespace } = namespaceOf([fail(new Error("reset")), last]);
    expect(await invokeUserObjects(namespace, "a", [null, "weur"], "list", () => ({}))).toEqual(UNAVAILABLE);
    expect(isLastDone).toBe(true);
  });
});

describe("a session attempt", () => {
  const init = (signal = new AbortController().signal) => ({ headers: new Headers(), signal });
  const send = (answers: readonly Answer[], signal?: AbortSignal) => {
    const { namespace, stubs } = namespaceOf(answers);
    const address = userObjectAddress(namespace, "alice@example.com", null);
    return { sent: sendAttempt(namespace, address, "http://localhost/", init(signal)), stubs };
  };

  test.each<[string, object]>([
    ["retryable", { retryable: true }],
    ["overloaded", { retryable: true, overloaded: true }],
    ["unknown", {}],
  ])("is sent once, for it may have opened a session: %s", async (_, flags) => {
    const { sent, stubs } = send([fail(platformError(flags)), succeed(null)]);
    expect(await sent).toEqual(UNAVAILABLE);
    expect([stubs.length, logged.map(({ method }) => method)]).toEqual([1, ["fetch"]]);
  });

  test("whose client is gone is not a failure of the object", async () => {
    const leaving = new AbortController();
    leaving.abort();
    const { sent } = send([fail(new Error("aborted"))], leaving.signal);
    expect(await sent).toMatchObject({ ok: false, error: { code: "client_gone" } });
    expect(logged).toEqual([]);
  });
});

describe("addresses", () => {
  const { namespace } = namespaceOf([]);

  test("of users are by name and location; a name never contains a space", () => {
    expect(userObjectName("alice@example.com", null)).toBe("alice@example.com");
    expect(userObjectName("alice@example.com", "weur")).toBe("alice@example.com weur");
  });

  test("of sessions are in their ids", () => {
    const id = (objectId: string) => makeSessionId(objectId, 1_000, new Uint8Array(10));
    expect(sessionObjectAddress(namespace, id(OBJECT_ID))).toEqual({ id: OBJECT_ID, locationHint: null });
    expect(sessionObjectAddress(namespace, id("f".repeat(64)))).toBeUndefined();
    expect(sessionObjectAddress(namespace, "nonsense")).toBeUndefined();
  });
});

describe("the record of an API request", () => {
  test("that must arrive is tried until its object is back, and no other one for so long", async () => {
    changeTimers(new Map([200, 400, 800, 1_600, 2_000].map((pause) => [pause, 1])));
    vi.spyOn(Math, "random").mockReturnValue(1);
    const away = Array.from({ length: 2 * MAX_FAILED_TRIES }, () => fail(platformError({ retryable: true })));
    for (const mustArrive of [true, false]) {
      const { namespace } = namespaceOf([...away, succeed(ACCEPTED)]);
      const address = userObjectAddress(namespace, "alice@example.com", null);
      const recorded = await recordRequest(namespace, address, fields, { mustArrive }).accepted;
      expect(recorded).toEqual(mustArrive ? { ok: true, value: ACCEPTED } : UNAVAILABLE);
    }
  });

  const fields = {
    ...{ requestId: requestIdAt(Date.now(), 0), request: AUDITED_REQUEST, isChange: true, isHandedOn: true },
    ...{ isolate: "isolate-1", limits: { maxChangesPerMinute: 10, maxChangesPerDay: 1_000, maxQueuedEvents: 10 } },
  };
  const ACCEPTED = { as: "event", allowance: null, state: { version: 0, lock: null, grants: [] } };

  test("that its object takes too long to accept is given up by its request, and not by its invocation", async () => {
    shortenTimer(10_000, 1);
    const object = Promise.withResolvers<unknown>();
    const { namespace } = namespaceOf([() => object.promise]);
    const address = userObjectAddress(namespace, "alice@example.com", null);
    const kept: Promise<unknown>[] = [];
    const outliving = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    const { accepted, arrived } = recordRequest(namespace, address, fields, { outliving });
    expect(await accepted).toEqual(UNAVAILABLE);
    object.resolve({ ok: true, value: ACCEPTED });
    expect(await arrived).toEqual({ ok: true, value: ACCEPTED });
    expect(await Promise.all(kept)).toEqual([{ ok: true, value: ACCEPTED }]);
  });
});
