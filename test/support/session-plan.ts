import type { SessionPlan } from "../../contract/session-plan.ts";

/** A plan of which every field differs from what a careless default would be. */
export const PLAN: SessionPlan = {
  sessionId: "s".repeat(64),
  user: "alice@example.com",
  kubernetesUser: "alice",
  kubernetesGroups: ["a", "b, c"],
  impersonation: [
    ["impersonate-user", "alice"],
    ["impersonate-group", "a"],
    ["impersonate-group", "b, c"],
  ],
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
  limits: {
    maxSessionsPerUser: 3,
    idleTimeoutSeconds: 60,
    maxDurationSeconds: 3_600,
    stallTimeoutSeconds: 30,
    maxBufferedStdinBytes: 1_000,
  },
  audit: { onOutage: "buffer", maxQueuedEvents: 100 },
  recording: { mode: "output", onFailure: "end", onFull: "continue", maxBytes: 1_000 },
  upstream: {
    transport: "tcp",
    tcpBinding: "KUBE_API_TCP",
    address: "127.0.0.1:8001",
  },
  portForward: { onUnreadable: "continue" },
  client: { address: "203.0.113.7", country: "DE", userAgent: "kubectl", attempt: null },
};
