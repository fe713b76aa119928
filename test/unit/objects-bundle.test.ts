import { join } from "node:path";
import { build } from "esbuild";
import { beforeAll, expect, it } from "vitest";

/**
 * The objects' Worker is deployed anew whenever its bundle changes, and live sessions then have a last hour.
 * So nothing that is only the edge's, an operator's or a reader's may be in it.
 */
const PROJECT = join(import.meta.dirname, "../..");
let inputs: string[];

beforeAll(async () => {
  const { metafile } = await build({
    ...{ entryPoints: [join(PROJECT, "durable/index.ts")], absWorkingDir: PROJECT },
    ...{ bundle: true, write: false, metafile: true, format: "esm", target: "es2024", treeShaking: true },
    external: ["cloudflare:workers"],
    logLevel: "silent",
  });
  const [output] = Object.values(metafile.outputs);
  inputs = Object.entries(output?.inputs ?? {})
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => path);
});

it("has what it is made of", () => {
  expect(inputs).toContain("durable/user-sessions.ts");
  expect(inputs).toContain("contract/denial.ts");
});

it("takes nothing of the edge, its tools or its tests", () => {
  expect(inputs.filter((path) => /^(worker|tools|dev|terraform|test)\//.test(path))).toEqual([]);
});

it("takes no prose for operators: a reworded log event ends no session", () => {
  expect(inputs).not.toContain("common/log-events.ts");
});

it("takes only what it writes of D1's schema: a new column of another table ends no session", () => {
  expect(inputs.filter((path) => path.startsWith("audit/")).toSorted()).toEqual([
    "audit/access-events.ts",
    "audit/chain.ts",
    "audit/events.ts",
    "audit/insert-events.ts",
    "audit/pod-facts.ts",
    "audit/request-categories.ts",
    "audit/rows.ts",
    "audit/session-filter.ts",
  ]);
});
