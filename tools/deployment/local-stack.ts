import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { OperatorError } from "./operator-error.ts";

/** The fields of `endpoints.json` that the tools use. `npm start` writes it. */
const endpoints = z.object({
  personas: z.object({
    alice: z.object({ email: z.string(), url: z.string() }),
    admin: z.object({ url: z.string() }),
    mallory: z.object({ url: z.string() }),
  }),
  /** The path of D1's SQLite file. */
  d1: z.string(),
  access: z.object({ issuer: z.string() }),
});

export type Endpoints = z.output<typeof endpoints>;

/** @throws OperatorError where the folder is not that of a local stack */
export function readEndpoints(stateDir: string): Endpoints {
  const file = join(stateDir, "endpoints.json");
  if (!existsSync(file)) {
    throw new OperatorError(
      `no local stack in ${stateDir} (no endpoints.json): run npm start, or set --state to its folder`,
    );
  }
  return endpoints.parse(JSON.parse(readFileSync(file, "utf8")));
}
