import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ok } from "../../common/result.ts";
import type { AccessRequest } from "../../contract/access.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";
import {
  answerCall,
  callUserObject,
  FROZEN_METHODS,
  METHODS,
  USER_OBJECT_METHODS,
  type UserObjectCalls,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../../contract/user-object.ts";
import { ACCEPTED_VERSIONS, CONTRACT_VERSION } from "../../contract/version.ts";
import { AUDITED_REQUEST, requestIdAt } from "../support/audited-request.ts";

/** Not accepted by this build. */
const OTHER_VERSIONS = [0, CONTRACT_VERSION + 1];

const LOCK = { user: "alice@example.com", by: "admin@example.com", reason: "gone", until: null };

const ROW: LiveSessionRow = {
  ...{ id: "s", state: "live", user: "alice@example.com", kubernetes_user: "alice", kubernetes_groups: ["a"] },
  ...{ cluster: "test", kind: "port-forward", namespace: "demo", pod: "web", container: null, command: [], tty: false },
  ...{ ports: [80], recording_mode: "off", client_address: null, country: "DE", rule: null, access_reason: null },
  ...{ user_agent: null, started_at: 1, ended_at: null, outcome: null, exit_code: null, reason: null, ended_by: null },
  ...{ bytes_in: 1, bytes_out: 2, messages_in: 3, messages_out: 4, unreadable: null },
  forwards: [{ port: 80, connections: 1, bytes_in: 1, bytes_out: 2, errors: 1, first_error: "refused" }],
  ...{ recording: null, recording_bytes: null, active_at: 2, waits_for: "watcher", sign_in: "warp", device_id: "d-1" },
  grants: ["prod-admin"],
};

const BOB = { user: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob" };
const ACCESS: AccessRequest = {
  ...{ id: "a", person: { user: "alice@example.com", subject: null, kubernetesUser: "alice" }, grant: "prod-admin" },
  ...{ minutes: 60, reason: "INC-17", purpose: null, requestedAt: 1, expiresAt: 2, needed: 1, isSelfApproved: false },
  approvals: [{ by: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob", at: 1, reason: null, minutes: 30 }],
  ended: { by: "bob@example.com", subject: null, kubernetesUser: "bob", at: 2, reason: "done", how: "revoked" },
  active: { since: 1, until: 3 },
};
const GRANTS = [{ id: "a", grant: "prod-admin", until: 3 }];

/** For each method, something to ask and something to answer. */
const CALLS: { [M in UserObjectMethod]: { fields: UserObjectFields<M>; value: UserObjectValue<M> } } = {
  list: { fields: {}, value: [ROW] },
  describe: { fields: { sessionId: "s" }, value: ROW },
  terminate: { fields: { sessionId: "s", by: "admin@example.com", reason: "gone" }, value: true },
  terminateAll: { fields: { by: "admin@example.com", reason: "gone" }, value: ["s"] },
  lock: { fields: { lock: LOCK, isAudited: true }, value: ["s"] },
  unlock: {
    fields: { user: "alice@example.com", by: "admin@example.com", reason: "", isAudited: false },
    value: false,
  },
  currentLock: { fields: {}, value: LOCK },
  decideLock: { fields: { lock: LOCK, copyTo: ["weur", "oc"] }, value: { ended: ["s"], notReached: ["oc"] } },
  decideUnlock: {
    fields: { user: "alice@example.com", by: "admin@example.com", reason: "", copyTo: [] },
    value: { wasLocked: true, notReached: [] },
  },
  decideReason: {
    fields: { user: "alice@example.com", reason: "ticket 1", until: 1, copyTo: ["weur"] },
    value: { notReached: [] },
  },
  requestAccess: {
    fields: {
      ...{ person: ACCESS.person, grant: "prod-admin", minutes: 60, reason: "INC-17", purpose: null, needed: 1 },
      ...{ approvesItself: false, copyTo: ["weur"] },
    },
    value: { request: ACCESS, isNew: true, notReached: [] },
  },
  listAccess: { fields: {}, value: [ACCESS] },
  describeAccess: { fields: { id: "a" }, value: ACCESS },
  decideAccess: {
    fields: {
      ...{ id: "a", by: BOB, decision: "approve", reason: null, minutes: 30, needed: 1, maxMinutes: 60, copyTo: [] },
    },
    value: { request: ACCESS, notReached: ["oc"] },
  },
  endAccess: {
    fields: { id: "a", by: BOB, reason: null, copyTo: [] },
    value: { request: ACCESS, ended: ["s"], notReached: [] },
  },
  copyState: {
    fields: { state: { version: 2, lock: LOCK, accessReason: { reason: "ticket 1", until: 1 }, access: [ACCESS] } },
    value: { ended: [], wasLocked: false },
  },
  readState: { fields: {}, value: { version: 2, lock: null, grants: GRANTS } },
  describeLock: { fields: {}, value: { lock: LOCK, notReached: ["afr"] } },
  recordRequest: {
    fields: {
      ...{ requestId: requestIdAt(AUDITED_REQUEST.arrived_at, 1), request: AUDITED_REQUEST, isChange: true },
      ...{ isHandedOn: false, failedTries: 0, isolate: "i" },
      limits: { maxChangesPerMinute: 1, maxChangesPerDay: 1, maxQueuedEvents: 1 },
    },
    value: { as: "event", allowance: { changes: 1, validForMs: 1 }, state: { version: 0, lock: null, grants: [] } },
  },
  recordResponse: {
    fields: { requestId: requestIdAt(AUDITED_REQUEST.arrived_at, 1), status: 200, reason: null },
    value: null,
  },
  endWatched: { fields: { sessionId: "s", by: "auditor@example.com", reason: "enough" }, value: "ended" },
  showMessage: { fields: { sessionId: "s", by: "admin@example.com", text: "stop" }, value: "shown" },
  readRecording: { fields: { sessionId: "s", offset: 0 }, value: { bytes: new Uint8Array(2), next: 2, isLast: true } },
};

/** An object of which every method answers by `answer`. */
function objectThat(answer: (method: UserObjectMethod, argument: unknown) => unknown): UserObjectCalls {
  const methods = USER_OBJECT_METHODS.map((method) => [method, async (argument: unknown) => answer(method, argument)]);
  return Object.fromEntries(methods) as unknown as UserObjectCalls;
}

function objectOf(acceptedVersions: readonly number[]): UserObjectCalls {
  return objectThat((method, argument) =>
    answerCall(method, argument, () => ok(CALLS[method].value) as never, acceptedVersions),
  );
}

function call<M extends UserObjectMethod>(object: UserObjectCalls, method: M) {
  return callUserObject(object, method, CALLS[method].fields as UserObjectFields<M>);
}

/** The version in which `call` asks. */
const versionOf = (method: UserObjectMethod) => METHODS[method].version;

const MISMATCH = {
  ok: false,
  error: { code: "contract_mismatch", message: expect.stringContaining("try again in a minute") },
};

let logged: { event: string; method: string; detail: string }[];

beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => logged.push(JSON.parse(line)));
});
afterEach(() => vi.restoreAllMocks());

const VERSIONED_METHODS = USER_OBJECT_METHODS.filter((method) => !FROZEN_METHODS.includes(method));

test("a method is asked for in the version before if it has not changed since: an object may run older code", () => {
  const asked = VERSIONED_METHODS.map(versionOf);
  expect(asked.filter((version) => !ACCEPTED_VERSIONS.includes(version))).toEqual([]);
  expect(versionOf("recordResponse")).toBe(CONTRACT_VERSION - 1);
});

test("all Kubernetes users of whoever asks or decides reach whatever object takes the call", async () => {
  const { requestAccess, decideAccess } = CALLS;
  const several = { kubernetesUsers: ["bob", "root"] };
  const asked = { ...requestAccess.fields, person: { ...ACCESS.person, ...several } };
  const decided = { ...decideAccess.fields, by: { ...BOB, ...several } };
  const seen: unknown[] = [];
  const olderBuild = [CONTRACT_VERSION - 2, CONTRACT_VERSION - 1];
  for (const accepted of [olderBuild, ACCEPTED_VERSIONS]) {
    const object = objectThat((method, argument) =>
      answerCall(
        method,
        argument,
        (fields) => {
          seen.push(fields);
          return ok(CALLS[method].value) as never;
        },
        accepted,
      ),
    );
    await callUserObject(object, "requestAccess", asked as UserObjectFields<"requestAccess">);
    await callUserObject(object, "decideAccess", decided as UserObjectFields<"decideAccess">);
  }
  expect(seen).toEqual([asked, decided, asked, decided]);
});

test("commands that end sessions and lock users are frozen, and nothing else is", () => {
  expect(FROZEN_METHODS).toEqual(["terminate", "terminateAll", "lock", "unlock", "currentLock"]);
});

describe.each(FROZEN_METHODS)("%s, which is frozen", (method) => {
  const { fields, value } = CALLS[method];

  test.each([...ACCEPTED_VERSIONS, ...OTHER_VERSIONS])("is carried out by an object of version %i", async (version) => {
    expect(await call(objectOf([version]), method)).toEqual({ ok: true, value });
    expect(logged).toEqual([]);
  });

  test.each(OTHER_VERSIONS)("is carried out for an edge of version %i, which knows more fields", (version) => {
    const run = vi.fn(() => ok(value) as never);
    expect(answerCall(method, { version, ...fields, more: 1 }, run)).toEqual({ ok: true, value });
    expect(run).toHaveBeenCalledExactlyOnceWith(fields);
  });
});

test("a lock with a field that the object does not know still locks", () => {
  const run = vi.fn(() => ok(["s"]));
  const { lock, isAudited } = CALLS.lock.fields;
  void answerCall("lock", { version: CONTRACT_VERSION + 1, lock: { ...lock, scope: "sessions" }, isAudited }, run);
  expect(run).toHaveBeenCalledExactlyOnceWith({ lock, isAudited });
});

describe.each(VERSIONED_METHODS)("%s", (method) => {
  test("is asked and answered in one version", async () => {
    expect(await call(objectOf([versionOf(method)]), method)).toEqual({ ok: true, value: CALLS[method].value });
    expect(logged).toEqual([]);
  });

  test.each(OTHER_VERSIONS)("is refused by an object of version %i", async (version) => {
    expect(await call(objectOf([version]), method)).toEqual(MISMATCH);
    expect(logged).toEqual([
      {
        event: "contract_mismatch",
        level: "error",
        method,
        detail: `version ${versionOf(method)} instead of ${version}`,
      },
    ]);
  });

  test.each(OTHER_VERSIONS)("refuses an edge of version %i", (version) => {
    const answer = answerCall(method, { version, ...CALLS[method].fields }, () => ok(CALLS[method].value) as never);
    expect(answer).toEqual(MISMATCH);
  });

  test("refuses fields that it does not know, and a missing version, and never runs", () => {
    const run = vi.fn();
    const { fields } = CALLS[method];
    for (const argument of [{ version: CONTRACT_VERSION, ...fields, more: 1 }, fields]) {
      expect(answerCall(method, argument, run)).toEqual(MISMATCH);
    }
    expect(run).not.toHaveBeenCalled();
  });
});

describe.each(USER_OBJECT_METHODS)("%s, of whatever kind,", (method) => {
  test("refuses missing fields, and what is no object, and never runs", () => {
    const run = vi.fn();
    const { fields } = CALLS[method];
    const incomplete = Object.keys(fields).map((left) =>
      Object.fromEntries(Object.entries(fields).filter(([key]) => key !== left)),
    );
    for (const argument of incomplete)
      expect(answerCall(method, { version: CONTRACT_VERSION, ...argument }, run)).toEqual(MISMATCH);
    for (const argument of [undefined, null, "s"]) expect(answerCall(method, argument, run)).toEqual(MISMATCH);
    expect(run).not.toHaveBeenCalled();
  });

  test("does not half read an answer that it does not know", async () => {
    const { value } = CALLS[method];
    const answers = [
      undefined,
      value,
      { ok: true },
      { ok: true, value, more: 1 },
      { ok: true, value: { of: "a newer object" } },
      { ok: true, value: [{ of: "a newer object" }] },
      { ok: false },
      { ok: false, error: { code: "a_newer_code", message: "" } },
    ];
    for (const answer of answers)
      expect(
        await call(
          objectThat(() => answer),
          method,
        ),
      ).toEqual(MISMATCH);
    expect(logged).toHaveLength(answers.length);
  });

  test("passes on why an object refuses", async () => {
    const error = { code: "object_schema_newer", message: "try again" };
    expect(
      await call(
        objectThat(() => ({ ok: false, error })),
        method,
      ),
    ).toEqual({ ok: false, error });
  });

  test("is a mismatch where the object does not have it", async () => {
    const object = objectThat(() => {
      throw new TypeError(`The RPC receiver does not implement the method "${method}".`);
    });
    expect(await call(object, method)).toEqual(MISMATCH);
    expect(logged).toMatchObject([{ event: "contract_mismatch", method, detail: "the object has no such method" }]);
  });

  test("throws what the platform throws", async () => {
    const object = objectThat(() => {
      throw new Error("Network connection lost.");
    });
    await expect(call(object, method)).rejects.toThrow("Network connection lost.");
  });
});

test("the log names the field that is not understood", async () => {
  await call(
    objectThat(() => ({ ok: true, value: [{ ...ROW, tty: "yes" }] })),
    "list",
  );
  expect(logged).toMatchObject([{ event: "contract_mismatch", method: "list", detail: "value.0.tty: invalid_type" }]);
});

test("a session row with any field less or more is not understood", async () => {
  for (const field of Object.keys(ROW)) {
    const row = Object.fromEntries(Object.entries(ROW).filter(([key]) => key !== field));
    expect(
      await call(
        objectThat(() => ({ ok: true, value: [row] })),
        "list",
      ),
    ).toEqual(MISMATCH);
  }
  expect(
    await call(
      objectThat(() => ({ ok: true, value: [{ ...ROW, more: 1 }] })),
      "list",
    ),
  ).toEqual(MISMATCH);
});
