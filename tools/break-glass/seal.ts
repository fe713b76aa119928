/**
 * The seal of a grant: a MAC over all of it, by a key that is kept as a Secret beside the connector's own.
 *
 * ConfigMaps of that namespace may be written by more people than may give access, and nothing in a ConfigMap
 * tells who wrote it: managed fields name a program of the client's choice. Who may read the namespace's
 * Secrets has the tunnel's token and the connector's power anyway, so the key adds no other party to trust.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** The Secret with the key. */
export const KEY_SECRET = "break-glass-key";
/** Its field. */
export const KEY_FIELD = "key";
export const KEY_BYTES = 32;

/** Makes the seal over the named fields of a ConfigMap's data, in this order. */
export function sealOf(
  key: Uint8Array,
  fields: readonly string[],
  data: Readonly<Record<string, string | undefined>>,
): string {
  // JSON keeps the fields apart, whatever they contain.
  const text = JSON.stringify(fields.map((field) => data[field] ?? null));
  return createHmac("sha256", key).update(text).digest("base64");
}

/** Whether a seal is the right one. */
export function isSealValid(seal: string, expected: string): boolean {
  const [one, other] = [Buffer.from(seal), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

/** The Secret, to be created once for each cluster. @param key random */
export function keySecret(key: Uint8Array, namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: KEY_SECRET, namespace },
    type: "Opaque",
    immutable: true,
    data: { [KEY_FIELD]: Buffer.from(key).toString("base64") },
  };
}
