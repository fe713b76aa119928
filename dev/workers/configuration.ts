/** What the wrangler configuration files of this repository's Workers say. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type ParseError, parse } from "jsonc-parser";
import { z } from "zod";

export const REPOSITORY = resolve(import.meta.dirname, "../..");
/** The edge's Worker. */
export const EDGE_CONFIGURATION = join(REPOSITORY, "wrangler.jsonc");
/** The objects' Worker. */
export const OBJECTS_CONFIGURATION = join(REPOSITORY, "durable/wrangler.jsonc");
/** The environment of those files that needs no account. */
export const LOCAL_ENVIRONMENT = "local";

const configurationFile = z.object({
  name: z.string(),
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).optional(),
  keep_names: z.boolean().optional(),
});

export interface WorkerConfiguration {
  /** The wrangler configuration file. */
  readonly file: string;
  readonly name: string;
  /** Absolute path of the entry module. */
  readonly main: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly keepNames: boolean;
}

/**
 * Reads what all environments of a wrangler configuration file have in common.
 *
 * @throws Error with the file's name where it is not such a file
 */
export function readWorkerConfiguration(file: string): WorkerConfiguration {
  const errors: ParseError[] = [];
  const parsed = configurationFile.safeParse(parse(readFileSync(file, "utf8"), errors, { allowTrailingComma: true }));
  if (errors.length > 0 || !parsed.success) throw new Error(`${file} is not a wrangler configuration with a main`);
  const { name, main, compatibility_date, compatibility_flags, keep_names } = parsed.data;
  return {
    file,
    name,
    main: join(dirname(file), main),
    compatibilityDate: compatibility_date,
    compatibilityFlags: compatibility_flags ?? [],
    // wrangler's default.
    keepNames: keep_names ?? true,
  };
}

/**
 * The date that both Workers are deployed with, and that every fake in tests and in the local stack runs
 * with.
 */
export function compatibilityDate(): string {
  return readWorkerConfiguration(EDGE_CONFIGURATION).compatibilityDate;
}
