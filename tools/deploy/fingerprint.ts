/** What a Worker's fingerprint is made of. Pure. */
import { createHash } from "node:crypto";

/** One file of a bundle. */
export interface BundleFile {
  readonly name: string;
  readonly content: string;
}

/** A generated wrangler configuration, as far as a fingerprint leaves parts of it out. */
export interface FingerprintedConfiguration {
  readonly main: string;
  readonly vars?: unknown;
  readonly d1_databases: readonly { readonly migrations_dir: string }[];
  readonly durable_objects: { readonly bindings: readonly object[]; readonly code_update_strategy?: unknown };
}

const DIGITS = 16;
/** esbuild heads each source with its path, which depends on where the checkout and its packages are. */
const SOURCE_COMMENT = /^\/\/ \S+\.(?:[cm]?[jt]s|json)\n/gm;
const SOURCE_MAP_COMMENT = /^\/\/# sourceMappingURL=.*\n?/gm;

/**
 * Makes the fingerprint of a Worker's code and bindings. The same sources have the same one in whatever
 * folder they are.
 *
 * Left out of the configuration: `vars`, which are the edge's document and change with every rule; paths,
 * since the files that they lead to are in the bundle; how a code update is carried out, which is no part of
 * what runs.
 *
 * @returns the first 16 hexadecimal digits of a SHA-256
 */
export function fingerprint(bundle: readonly BundleFile[], configuration: FingerprintedConfiguration): string {
  const { main: _, vars: __, d1_databases, durable_objects, ...rest } = configuration;
  const { code_update_strategy: ___, ...objects } = durable_objects;
  const databases = d1_databases.map(({ migrations_dir: _dir, ...database }) => database);
  const hash = createHash("sha256");
  hash.update(canonicalJson({ ...rest, d1_databases: databases, durable_objects: objects }));
  for (const { name, content } of bundle.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const code = content.replaceAll(SOURCE_COMMENT, "").replaceAll(SOURCE_MAP_COMMENT, "");
    // Lengths keep a name and its content apart.
    hash.update(JSON.stringify([name, code.length])).update(code);
  }
  return hash.digest("hex").slice(0, DIGITS);
}

/** JSON with the keys of every object in order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : each,
  );
}
