/** The fingerprint of a Worker's code and bindings. Pure. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";

/** One file of a bundle. */
export interface BundleFile {
  readonly name: string;
  readonly content: string;
}

/** A generated wrangler configuration, with the parts that a fingerprint ignores. */
export interface FingerprintedConfiguration {
  readonly main: string;
  readonly vars?: unknown;
  readonly alias?: unknown;
  readonly d1_databases: readonly { readonly migrations_dir: string }[];
  readonly durable_objects: { readonly bindings: readonly object[]; readonly code_update_strategy?: unknown };
}

const DIGITS = 16;
/**
 * esbuild puts each source's path in front of it, which depends on where the checkout and its packages are.
 */
const SOURCE_COMMENT = /^\/\/ .+\.(?:[cm]?[jt]s|json)\n/gm;
const SOURCE_MAP_COMMENT = /^\/\/# sourceMappingURL=.*\n?/gm;

/**
 * Makes the fingerprint of a Worker's code and bindings. The same sources have the same fingerprint in every
 * folder.
 *
 * It ignores three parts of the configuration: `vars`, which hold the document and change with every rule;
 * paths, whose files are in the bundle; and how a code update is carried out, which is not part of what runs.
 *
 * @returns the first 16 hexadecimal digits of a SHA-256
 */
export function fingerprint(bundle: readonly BundleFile[], configuration: FingerprintedConfiguration): string {
  const { main: _, vars: __, alias: ____, d1_databases, durable_objects, ...rest } = configuration;
  const { code_update_strategy: ___, ...objects } = durable_objects;
  const databases = d1_databases.map(({ migrations_dir: _dir, ...database }) => database);
  const hash = createHash("sha256");
  hash.update(canonicalJson({ ...rest, d1_databases: databases, durable_objects: objects }));
  for (const { name, content } of bundle.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const code = content.replaceAll(SOURCE_COMMENT, "").replaceAll(SOURCE_MAP_COMMENT, "");
    // The length separates a file from the next one.
    hash.update(JSON.stringify([name, code.length])).update(code);
  }
  return hash.digest("hex").slice(0, DIGITS);
}
