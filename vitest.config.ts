import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { CONSOLE_FILES, CONSOLE_FILES_NAME } from "./console/build.ts";
import { edgeProject, objectsProject } from "./test/support/workerd-projects.ts";

/** Tests of what the edge does by itself. All others in test/workerd need a look into the objects. */
const EDGE_TESTS = [
  "admin",
  "api-callers",
  "api-routes",
  "authenticate",
  "console",
  "cross-site",
  "export",
  "export-catch-up",
  "granted-access",
  "lists",
  "older-object",
  "oversight",
  "pod-facts",
  "proxied",
  "queries-cookbook",
  "questions",
  "requests",
  "seal",
  "seal-year",
  "session-evidence",
  "upload",
  "upstream",
].map((name) => `test/workerd/${name}.test.ts`);

/** Tests of what passes between a session's client and its cluster: they run over both ways to a cluster. */
const TRANSPORT_TESTS = [
  "captures",
  "fault-matrix",
  "forwards",
  "interrupted",
  "kubevirt",
  "recorded-sessions",
  "refused-sessions",
  "relay",
  "slow-sides",
  "time-limits",
  "told",
  "waiting",
  "waiting-approval",
].map((name) => `test/workerd/${name}.test.ts`);

/** As wrangler.jsonc says. The projects in workerd build it. */
const resolve = { alias: { [CONSOLE_FILES_NAME]: CONSOLE_FILES } };

/** On a busy machine everything takes longer. These limits only end what hangs. */
const PATIENT = { testTimeout: 300_000, hookTimeout: 300_000, expect: { poll: { timeout: 60_000 } } };

/**
 * vitest refuses to run projects in one group that have different numbers of workers. That of unit tests follows
 * the machine's cores.
 */
const GROUP_ORDER = { unit: 0, workerd: 1, e2e: 2 } as const;

const inWorkerd = {
  ...PATIENT,
  sequence: { groupOrder: GROUP_ORDER.workerd },
  // More than the cores: these tests mostly wait, for limits and for clocks.
  maxWorkers: 4,
  setupFiles: ["test/workerd/setup.ts"],
  globalSetup: ["test/support/raw-headers-server.ts"],
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...PATIENT,
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          // By default one core stays free, and of two that is half.
          maxWorkers: "100%",
          // A worker for each of 180 files would take as long to start as the tests themselves.
          isolate: false,
          sequence: { groupOrder: GROUP_ORDER.unit },
        },
      },
      {
        resolve,
        plugins: [cloudflareTest(() => objectsProject("workerd", "auto"))],
        test: { ...inWorkerd, name: "workerd", include: ["test/workerd/**/*.test.ts"], exclude: EDGE_TESTS },
      },
      {
        resolve,
        plugins: [cloudflareTest(() => objectsProject("workerd-websocket", "websocket"))],
        test: { ...inWorkerd, name: "workerd-websocket", include: TRANSPORT_TESTS },
      },
      {
        resolve,
        plugins: [cloudflareTest(edgeProject)],
        test: { ...inWorkerd, name: "workerd-edge", include: EDGE_TESTS },
      },
      {
        test: {
          ...PATIENT,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // Each file starts workerd and real clients of its own, and waits for them most of the time.
          maxWorkers: 3,
          sequence: { groupOrder: GROUP_ORDER.e2e },
        },
      },
    ],
  },
});
