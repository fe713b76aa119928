/** Signatures by Standard Webhooks 1.0.0, symmetric: https://www.standardwebhooks.com. Pure. */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";

const PREFIX = "whsec_";
const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** @returns the key, or undefined for what is no secret of the standard's form and length */
export function decodeSigningSecret(secret: string): Uint8Array | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  try {
    const key = Uint8Array.from(atob(secret.slice(PREFIX.length)), (character) => character.charCodeAt(0));
    return key.length >= MIN_BYTES && key.length <= MAX_BYTES ? key : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes the headers that let a receiver verify a message.
 *
 * @param id the same for each attempt, so that receivers can drop a second copy
 * @param at of this attempt, ms since the epoch: receivers refuse old ones
 * @throws RangeError where `secret` is none, which `parseWebhooks` rules out
 */
export function signedHeaders(secret: string, id: string, at: number, body: string): Record<string, string> {
  const key = decodeSigningSecret(secret);
  if (!key) throw new RangeError("not a signing secret");
  const timestamp = String(Math.floor(at / 1_000));
  const signature = hmac(sha256, key, utf8ToBytes(`${id}.${timestamp}.${body}`));
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${btoa(String.fromCharCode(...signature))}`,
  };
}
