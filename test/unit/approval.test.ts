import { describe, expect, it } from "vitest";
import type { AccessRequest } from "../../contract/access.ts";
import { approvedLine, judgeWait, waitingLines } from "../../durable/session/approval.ts";
import type { SessionTarget } from "../../kubernetes/session-target.ts";
import { purposeOf } from "../../worker/policy/purpose.ts";

const MINUTE = 60_000;
const APPROVAL = {
  accessId: "a-1",
  grant: "prod-exec",
  waitUntil: 5 * MINUTE,
  howToApprove: "members of oncall may approve it: https://kube.example.com/-/approvals/a-1",
  isOwnRequest: true,
  copyTo: [],
};
const DECISION = {
  by: "bob@example.com",
  subject: "s-2",
  kubernetesUser: "bob@example.com",
  at: MINUTE,
  reason: null,
  minutes: null,
};
const { minutes: _, ...ENDED } = DECISION;
const REQUEST: AccessRequest = {
  ...{ id: "a-1", grant: "prod-exec", minutes: 60, reason: null, purpose: null, needed: 1, isSelfApproved: false },
  person: { user: "alice@example.com", subject: "s-1", kubernetesUser: "alice@example.com" },
  ...{ requestedAt: 0, expiresAt: 60 * MINUTE, approvals: [], ended: null, active: null },
};
const judge = (request: Partial<AccessRequest> | undefined, now: number) =>
  judgeWait(APPROVAL, request && { ...REQUEST, ...request }, 0, now);

describe("a session that needs an approval", () => {
  it("waits while the request is pending, also where this object has no copy of it yet", () => {
    for (const request of [{}, undefined, { needed: 2, approvals: [DECISION] }]) {
      expect(judge(request, 5 * MINUTE - 1)).toEqual({ kind: "wait" });
    }
  });

  it("begins once the access holds, and knows until when", () => {
    const active = { since: MINUTE, until: 61 * MINUTE };
    expect(judge({ approvals: [DECISION], active }, MINUTE)).toEqual({
      ...{ kind: "approved", by: ["bob@example.com"], until: 61 * MINUTE },
    });
  });

  it("also begins when the approval came in the last moment", () => {
    const active = { since: 5 * MINUTE, until: 65 * MINUTE };
    expect(judge({ active }, 5 * MINUTE + 1)).toMatchObject({ kind: "approved" });
  });

  it.each([
    ["denied", { ended: { ...ENDED, how: "denied" } }, "bob@example.com denied the access prod-exec"],
    [
      "denied",
      { ended: { ...ENDED, how: "denied", reason: "not today" } },
      "bob@example.com denied the access prod-exec: not today",
    ],
    [
      "revoked",
      { ended: { ...ENDED, how: "revoked", reason: "another way" } },
      "bob@example.com withdrew the request for prod-exec: another way; run the command again to ask anew",
    ],
    ["expired", { expiresAt: 1 }, /has expired: run the command again/],
    ["expired", { active: { since: 0, until: 1 } }, /has expired: run the command again/],
  ] satisfies [string, Partial<AccessRequest>, string | RegExp][])("ends as %s (%j)", (_, request, message) => {
    const expected = typeof message === "string" ? message : expect.stringMatching(message);
    expect(judge(request, 2 * MINUTE)).toEqual({ kind: "refused", message: expected });
  });

  it("ends when nobody decided in time", () => {
    expect(judge({}, 5 * MINUTE)).toEqual({
      kind: "refused",
      message: "nobody approved prod-exec within 5m; the request stands: try again once it is approved",
    });
  });

  it("says for what it waits, how long, who may approve and how to give up", () => {
    expect(waitingLines(APPROVAL, MINUTE + 500)).toEqual([
      "sallyport: this needs an approval of prod-exec, and waits for up to 4m. Ctrl-C gives up.",
      "sallyport: members of oncall may approve it: https://kube.example.com/-/approvals/a-1",
    ]);
    expect(approvedLine(APPROVAL, ["bob@example.com", "carol@example.com"])).toBe(
      "sallyport: approved by bob@example.com, carol@example.com (prod-exec).",
    );
  });
});

describe("what approvers read of a session that waits", () => {
  const TARGET: SessionTarget = {
    ...{ sessionKind: "exec", namespace: "demo", pod: "web-0.a", container: undefined, command: ["sh", "-c", "ls"] },
    ...{ tty: false, stdin: false, stdout: true, stderr: true, ports: [] },
  };

  it("is its pod, its cluster and its command", () => {
    expect(purposeOf(TARGET, "prod")).toBe("exec in the pod web-0.a of demo, cluster prod: sh -c ls");
    expect(purposeOf({ ...TARGET, container: "main", command: [] }, "prod")).toBe(
      "exec in the pod web-0.a (container main) of demo, cluster prod",
    );
  });

  it("does not read as another place, whatever names its client sends", () => {
    const container = "main) of demo, cluster staging: ls";
    expect(purposeOf({ ...TARGET, container }, "prod")).toBe(
      `exec in the pod web-0.a (container "${container}") of demo, cluster prod: sh -c ls`,
    );
    const quoting = 'x" of demo, cluster staging: ls';
    expect(purposeOf({ ...TARGET, pod: quoting }, "prod")).toContain(`pod ${JSON.stringify(quoting)} of demo`);
    const long = "a".repeat(5_000);
    const purpose = purposeOf({ ...TARGET, namespace: long, pod: long, container: long }, "prod");
    expect(purpose).toMatch(/, cluster prod: sh -c ls$/);
  });
});
