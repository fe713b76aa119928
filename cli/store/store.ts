/** The stored sign-ins: one file for each application, whose tokens may be in the system's keychain instead. */
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorCode, PluginFailure } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Tokens } from "../tokens.ts";
import { writePrivateFile } from "./atomic-file.ts";
import { type LockOptions, withLock } from "./lock.ts";
import { recordName, storeFolder } from "./paths.ts";
import { type ApplicationRecord, parseRecord, renderRecord } from "./record.ts";

/** A sign-in whose tokens have been read. */
export type CompleteRecord = ApplicationRecord & { readonly tokens: Tokens };

export interface Store {
  /** Where it is, for messages. */
  readonly folder: string;
  /** @returns undefined without a sign-in */
  readonly read: (applicationId: string) => Promise<CompleteRecord | undefined>;
  readonly write: (record: CompleteRecord) => Promise<void>;
  readonly remove: (applicationId: string) => Promise<void>;
  /** Does what only one process may do to an application's sign-in at a time. */
  readonly exclusively: <T>(applicationId: string, options: LockOptions, work: () => Promise<T>) => Promise<T>;
}

export function openStore(surroundings: Surroundings): Store {
  const folder = storeFolder(surroundings);
  const pathOf = (applicationId: string) => join(folder, `${recordName(applicationId)}.json`);
  const readRecord = (applicationId: string) => readFile(pathOf(applicationId), applicationId);
  return {
    folder,
    read: async (applicationId) => {
      const record = readRecord(applicationId);
      return record?.tokens === undefined ? undefined : { ...record, tokens: record.tokens };
    },
    write: async (record) => {
      guard(folder, () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writePrivateFile(pathOf(record.application), renderRecord(record));
      });
    },
    remove: async (applicationId) => {
      guard(folder, () => rmSync(pathOf(applicationId), { force: true }));
    },
    exclusively: (applicationId, options, work) => {
      guard(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
      return withLock(join(folder, `${recordName(applicationId)}.lock`), options, work);
    },
  };
}

function readFile(path: string, applicationId: string): ApplicationRecord | undefined {
  const text = guard(path, () => {
    try {
      const { mode } = statSync(path);
      if (process.platform !== "win32" && (mode & 0o077) !== 0) {
        throw new PluginFailure(
          "store",
          `other users can read the tokens in ${path}: run "chmod 600" on it, or log out`,
        );
      }
      return readFileSync(path, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  });
  if (text === undefined) return undefined;
  const record = parseRecord(text);
  if (!record.ok) throw new PluginFailure("store", `${path} cannot be used: ${record.error}`);
  return record.value?.application === applicationId ? record.value : undefined;
}

function guard<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PluginFailure) throw error;
    throw new PluginFailure("store", `cannot use ${path} (${errorCode(error)}): SALLYPORT_HOME names another folder`);
  }
}
