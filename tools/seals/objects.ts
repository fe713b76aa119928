/**
 * Where sealed objects are read from: the deployed bucket, a local stack's, or files that somebody
 * downloaded.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SEALS_PREFIX } from "../../audit/seal/keys.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { type Wrangler, wranglerOutput } from "../ports/wrangler.ts";

export interface SealObjects {
  /** For a person. */
  readonly place: string;
  /** @returns the object's bytes, or undefined where there is no such object */
  read(key: string): Promise<Uint8Array | undefined>;
}

/** @param folder a copy of the bucket, or of its folder `seals` */
export function objectsInFolder(folder: string): SealObjects {
  if (!existsSync(folder))
    throw new OperatorError(`there is no folder ${folder}: download the bucket's seals/ into it`);
  return {
    place: folder,
    read: async (key) => {
      const candidates = [join(folder, key), join(folder, key.slice(SEALS_PREFIX.length))];
      const found = candidates.find((path) => existsSync(path));
      return found === undefined ? undefined : readFileSync(found);
    },
  };
}

/** @param bucket the bucket of recordings */
export function objectsInBucket(wrangler: Wrangler, bucket: string): SealObjects {
  return {
    place: `R2, bucket ${bucket}`,
    read: async (key) => {
      const folder = mkdtempSync(join(tmpdir(), "sallyport-seals-"));
      const file = join(folder, "object");
      try {
        const finished = await wrangler(["r2", "object", "get", `${bucket}/${key}`, "--remote", "--file", file]);
        if (finished.code === 0) return readFileSync(file);
        const message = wranglerOutput(finished);
        if (/specified key does not exist|\b10007\b|\b404\b/.test(message)) return undefined;
        throw new OperatorError(`R2 did not answer:\n${message}`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

const R2_DATABASES = "r2/miniflare-R2BucketObject";

/**
 * The buckets of a local stack, which may be running. Keys below `seals/` are in no other bucket.
 *
 * @param d1 path of the stack's D1, beside which Miniflare has its buckets
 */
export function objectsOfLocalStack(d1: string): SealObjects {
  const data = dirname(dirname(dirname(d1)));
  return {
    place: "the local stack's bucket",
    read: async (key) => {
      const blob = findBlob(join(data, R2_DATABASES), key);
      if (blob === undefined) return undefined;
      const buckets = readdirSync(join(data, "r2"));
      const path = buckets.map((bucket) => join(data, "r2", bucket, "blobs", blob)).find((each) => existsSync(each));
      return path === undefined ? undefined : readFileSync(path);
    },
  };
}

function findBlob(folder: string, key: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".sqlite") && each !== "metadata.sqlite")) {
    const database = new DatabaseSync(join(folder, name), { readOnly: true });
    try {
      const row = database.prepare("SELECT blob_id FROM _mf_objects WHERE key = ?").get(key);
      if (typeof row?.["blob_id"] === "string") return row["blob_id"];
    } finally {
      database.close();
    }
  }
  return undefined;
}
