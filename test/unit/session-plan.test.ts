import { describe, expect, test } from "vitest";
import { attachSessionPlan, detachSessionPlan, type SessionPlan } from "../../contract/session-plan.ts";

const PLAN: SessionPlan = {
  sessionId: "s".repeat(64),
  user: "alice@example.com",
  kubernetesUser: "alice",
  kubernetesGroups: ["a", "b"],
  binding: "KUBE_API",
  locationHint: null,
  rule: null,
  requireReason: false,
  endsAt: null,
  cluster: "test",
  target: {
    sessionKind: "exec",
    namespace: "demo",
    pod: "web",
    container: "main",
    command: ["sh", "-c", "echo 'ü € 🚪' %41 \r\n\0\u2028"],
    tty: true,
    stdin: true,
    stdout: true,
    stderr: false,
    ports: [],
  },
  transport: "websocket",
  limits: { maxSessionsPerUser: 3, idleTimeoutSeconds: 60, maxDurationSeconds: 3_600, stallTimeoutSeconds: 30 },
  audit: { onOutage: "buffer", maxQueuedEvents: 100 },
  recording: { mode: "output", onFailure: "end", onFull: "continue", maxBytes: 1_000 },
  client: { address: "203.0.113.7", country: "DE", userAgent: "kubectl", attempt: null },
};

function sent(headers: Headers): Request {
  return new Request("http://localhost/x", { headers });
}

describe("a plan travels from the edge to the object", () => {
  test("whole, whatever characters a command is made of", () => {
    const headers = new Headers();
    attachSessionPlan(headers, PLAN);
    expect(detachSessionPlan(sent(headers)).plan).toEqual(PLAN);
  });

  test("and no further: what goes upstream is what the edge built", () => {
    const headers = new Headers({ "impersonate-user": "alice", "user-agent": "kubectl" });
    attachSessionPlan(headers, PLAN);
    expect([...detachSessionPlan(sent(headers)).headers]).toEqual([
      ["impersonate-user", "alice"],
      ["user-agent", "kubectl"],
    ]);
  });

  test("alone: a header of that name that was there before is gone", () => {
    const headers = new Headers({ "Sallyport-Plan": encodeURIComponent('{"user":"admin@example.com"}') });
    attachSessionPlan(headers, PLAN);
    expect(detachSessionPlan(sent(headers)).plan.user).toBe("alice@example.com");
  });

  test("or the request is not served", () => {
    expect(() => detachSessionPlan(sent(new Headers()))).toThrow("a session request without a plan reached the object");
    expect(() => detachSessionPlan(sent(new Headers({ "Sallyport-Plan": "%" })))).toThrow();
  });
});
