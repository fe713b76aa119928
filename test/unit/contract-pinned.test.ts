import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { DIRECTORY_METHODS } from "../../contract/directory.ts";
import { liveRecordSchema, liveRefusalSchema, liveRequestSchema } from "../../contract/live-stream.ts";
import { planSchema } from "../../contract/session-plan.ts";
import { METHODS } from "../../contract/user-object.ts";
import { ACCEPTED_VERSIONS, CONTRACT_VERSION, versionFor } from "../../contract/version.ts";
import { watchRefusalSchema, watchSchema } from "../../contract/watch.ts";

const VECTORS = join(import.meta.dirname, "../vectors/contract");

const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { unrepresentable: "any" });

/**
 * Every schema that crosses from the edge to the objects or back, lists of other folders included (kinds,
 * outcomes, codes). To change one, raise CONTRACT_VERSION, and add the new version's file beside the old:
 * `SALLYPORT_PIN_CONTRACT=1`.
 */
test(`the contract is what version ${CONTRACT_VERSION} was pinned as`, async () => {
  const methods = Object.entries(METHODS).map(([name, { fields, answer, isFrozen }]) => [
    name,
    { fields: schemaOf(fields), answer: schemaOf(answer), isFrozen },
  ]);
  const directory = Object.entries(DIRECTORY_METHODS).map(([name, { fields, value }]) => [
    name,
    { fields: schemaOf(fields), value: schemaOf(value) },
  ]);
  const contract = {
    plan: schemaOf(planSchema),
    watch: schemaOf(watchSchema),
    watchRefusal: schemaOf(watchRefusalSchema),
    live: schemaOf(liveRequestSchema),
    liveRecord: schemaOf(liveRecordSchema),
    liveRefusal: schemaOf(liveRefusalSchema),
    methods: Object.fromEntries(methods),
    directory: Object.fromEntries(directory),
  };
  const text = `${JSON.stringify(contract, null, 1)}\n`;
  const file = join(VECTORS, `${CONTRACT_VERSION}.json`);
  if (process.env["SALLYPORT_PIN_CONTRACT"]) (await import("node:fs")).writeFileSync(file, text);
  expect(text, "the contract has changed: raise CONTRACT_VERSION").toBe(readFileSync(file, "utf8"));
});

/**
 * The objects are deployed first: the old edge must go on with them, also where its own deploy then fails.
 */
test("objects accept whatever a build of the version before sends, changed in it or not", () => {
  expect(ACCEPTED_VERSIONS).toContain(CONTRACT_VERSION);
  for (let since = 1; since < CONTRACT_VERSION; since++) {
    expect(ACCEPTED_VERSIONS).toContain(versionFor(since, CONTRACT_VERSION - 1));
  }
});
