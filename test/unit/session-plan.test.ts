import { describe, expect, test } from "vitest";
import { attachSessionPlan, detachSessionPlan } from "../../contract/session-plan.ts";
import { ACCEPTED_VERSIONS, CONTRACT_VERSION } from "../../contract/version.ts";
import { PLAN } from "../support/session-plan.ts";

const HEADER = "Sallyport-Plan";
const WIRE: Record<string, unknown> = { version: CONTRACT_VERSION, ...PLAN };
const PERSON = { user: "alice@example.com", subject: "sub-alice", kubernetesUser: "alice" };
const ACCEPTED = ACCEPTED_VERSIONS.join(" or ");

function requestWith(headers: Headers): Request {
  return new Request("http://localhost/x", { headers });
}

function requestWithPlan(plan: unknown): Request {
  return requestWith(new Headers({ [HEADER]: encodeURIComponent(JSON.stringify(plan)) }));
}

function detach(request: Request, acceptedVersions?: readonly number[]) {
  const detached = detachSessionPlan(request, acceptedVersions);
  if (!detached.ok) throw new Error(`refused: ${detached.error.detail}`);
  return detached.value;
}

function expectMismatch(request: Request, detail: string, acceptedVersions?: readonly number[]): void {
  const detached = detachSessionPlan(request, acceptedVersions);
  expect(detached).toEqual({
    ok: false,
    error: { code: "contract_mismatch", message: expect.stringContaining("try again in a minute"), detail },
  });
}

describe("a plan travels from the edge to the object", () => {
  test("whole, whatever characters a command is made of", () => {
    const headers = new Headers();
    attachSessionPlan(headers, PLAN);
    expect(detach(requestWith(headers)).plan).toEqual(PLAN);
  });

  test("and no further: what goes upstream is what the edge built", () => {
    const headers = new Headers({ "impersonate-user": "alice", "user-agent": "kubectl" });
    attachSessionPlan(headers, PLAN);
    expect([...detach(requestWith(headers)).headers]).toEqual([
      ["impersonate-user", "alice"],
      ["user-agent", "kubectl"],
    ]);
  });

  test("alone: a header of that name that was there before is gone", () => {
    const headers = new Headers({ [HEADER]: encodeURIComponent('{"user":"admin@example.com"}') });
    attachSessionPlan(headers, PLAN);
    expect(detach(requestWith(headers)).plan.user).toBe("alice@example.com");
  });

  test("or the request is refused", () => {
    expectMismatch(requestWith(new Headers()), "a session request without a plan");
    expectMismatch(requestWith(new Headers({ [HEADER]: "%" })), "the plan is not JSON");
    expectMismatch(requestWith(new Headers({ [HEADER]: "{}" })), `version none instead of ${ACCEPTED}`);
    for (const plan of [null, 1, "text"]) expectMismatch(requestWithPlan(plan), "it is not an object");
  });
});

describe("an edge and an object of different versions", () => {
  test.each([0, CONTRACT_VERSION + 1])("an object refuses the plan of an edge of version %i", (version) => {
    expectMismatch(requestWithPlan({ ...WIRE, version }), `version ${version} instead of ${ACCEPTED}`);
  });

  test.each([1, CONTRACT_VERSION + 1])("an object of version %i refuses the plan of this edge", (version) => {
    const headers = new Headers();
    attachSessionPlan(headers, PLAN);
    expectMismatch(requestWith(headers), `version ${CONTRACT_VERSION - 1} instead of ${version}`, [version]);
  });

  test("a plan that asks for nothing new is for objects that still run the version before", () => {
    const headers = new Headers();
    const moderated = { ...PLAN, moderation: { waitMs: 60_000, person: PERSON } };
    const known = { ...moderated.moderation, person: { ...PERSON, kubernetesUsers: ["alice", "root"] } };
    for (const plan of [PLAN, moderated, { ...PLAN, moderation: known }]) {
      attachSessionPlan(headers, plan);
      expect(detach(requestWith(headers), [CONTRACT_VERSION - 1]).plan).toEqual(plan);
    }
  });

  test.each([undefined, null, "1", [1], { version: 1 }])("the version %j is none", (version) => {
    expectMismatch(requestWithPlan({ ...WIRE, version }), `version none instead of ${ACCEPTED}`);
  });
});

describe("a plan that is not exactly one is refused", () => {
  test.each(Object.keys(PLAN))("without %s", (field) => {
    const { [field]: _, ...rest } = WIRE;
    expect(detachSessionPlan(requestWithPlan(rest))).toMatchObject({ ok: false });
  });

  test.each(["target", "limits", "audit", "recording", "upstream", "portForward", "client"] as const)(
    "without any one field of its %s",
    (part) => {
      for (const field of Object.keys(PLAN[part])) {
        const fields = Object.fromEntries(Object.entries(PLAN[part]).filter(([key]) => key !== field));
        expectMismatch(requestWithPlan({ ...WIRE, [part]: fields }), `${part}.${field}: ${codeOfMissing(part, field)}`);
      }
    },
  );

  test.each(["", "target", "limits", "audit", "recording", "upstream", "portForward", "client"])(
    "with a field too many in %j",
    (part) => {
      const plan = part === "" ? { ...WIRE, more: 1 } : { ...WIRE, [part]: { ...(WIRE[part] as object), more: 1 } };
      expectMismatch(requestWithPlan(plan), `${part || "(whole)"}: unrecognized_keys`);
    },
  );

  test.each([
    { limits: { ...PLAN.limits, idleTimeoutSeconds: 0 } },
    { limits: { ...PLAN.limits, maxDurationSeconds: "3600" } },
    { limits: { ...PLAN.limits, maxSessionsPerUser: 1.5 } },
    { user: "" },
    { kubernetesUser: "" },
    { kubernetesGroups: "system:masters" },
    { ownIdentity: { user: "", groups: [] } },
    { ownIdentity: { user: "alice", groups: [], more: 1 } },
    { target: { ...PLAN.target, sessionKind: "shell" } },
    { transport: "http2" },
    { limits: { ...PLAN.limits, maxBufferedStdinBytes: -1 } },
    { upstream: { ...PLAN.upstream, transport: "udp" } },
    { upstream: { ...PLAN.upstream, tcpBinding: "" } },
    { upstream: { ...PLAN.upstream, address: "" } },
    { portForward: { onUnreadable: "ignore" } },
    { recording: { ...PLAN.recording, mode: "everything" } },
    { endsAt: "tomorrow" },
  ])("with a value that no edge sends: %j", (change) => {
    expect(detachSessionPlan(requestWithPlan({ ...WIRE, ...change }))).toMatchObject({ ok: false });
  });

  test("and the log never quotes it", () => {
    const secret = "--password=hunter2";
    const detached = detachSessionPlan(requestWithPlan({ ...WIRE, target: { ...PLAN.target, tty: secret } }));
    expect(detached).toMatchObject({ ok: false, error: { detail: "target.tty: invalid_type" } });
    expect(JSON.stringify(detached)).not.toContain(secret);
  });
});

/** zod reports a missing choice as a wrong value. */
function codeOfMissing(part: string, field: string): string {
  const choices = [
    ...["target.sessionKind", "audit.onOutage", "recording.mode", "recording.onFailure", "recording.onFull"],
    ...["upstream.transport", "portForward.onUnreadable"],
  ];
  return choices.includes(`${part}.${field}`) ? "invalid_value" : "invalid_type";
}
