/** Makes the tokens that the hostile corpus describes, with the local stack's own signing key. */
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CompactEncrypt, type JWK } from "jose";
import type { Stack } from "../../../dev/stack/index.ts";
import { HOSTILE, type TokenEntry } from "../../support/hostile.ts";

const LIFETIME_SECONDS = 60 * 60;

type Recipe = TokenEntry["token"];
type Parts = Record<string, unknown>;

const base64url = (data: string | Buffer) => Buffer.from(data).toString("base64url");

export class TokenForge {
  readonly #issuer: string;
  readonly #audience: string;
  readonly #kid: string;
  readonly #teamKey: KeyObject;
  readonly #otherKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

  readonly #email: string;

  /** @param email of the person, unless an entry names another */
  constructor({ stateDir, access }: Pick<Stack, "stateDir" | "access">, email: string = HOSTILE.email) {
    this.#email = email;
    const { signingKey } = JSON.parse(readFileSync(join(stateDir, "access-keys.json"), "utf8")) as {
      signingKey: JWK & { kid: string };
    };
    this.#issuer = access.issuer;
    this.#audience = access.audience;
    this.#kid = signingKey.kid;
    this.#teamKey = createPrivateKey({ key: signingKey, format: "jwk" });
  }

  /** Makes a token as Access does. */
  good(claims: Parts = {}): string {
    return this.#compact(this.#header({}), this.#claims(claims), "team");
  }

  async make({ sign: how, header = {}, claims = {}, first, last }: Recipe): Promise<string> {
    const head = this.#header(header);
    const body = this.#claims(claims);
    switch (how) {
      case "cut":
        return this.good().slice(0, -8);
      case "padded":
        return `${this.good()}==`;
      case "spaced":
        return this.good().replace(".", " .");
      case "four":
        return `${this.good()}.AAAA`;
      case "borrowed": {
        const [, , signature] = this.good({ nonce: "another" }).split(".");
        return `${this.good().split(".").slice(0, 2).join(".")}.${signature}`;
      }
      case "nested":
        return this.#compact({ ...head, cty: "JWT" }, this.good(), "team");
      case "json": {
        const [protectedHeader, payload, signature] = this.good().split(".");
        return JSON.stringify({ protected: protectedHeader, payload, signature });
      }
      case "duplicate": {
        const { email: _, ...others } = body;
        const text = JSON.stringify(others).slice(1);
        return this.#compact(head, `{"email":${JSON.stringify(first)},"email":${JSON.stringify(last)},${text}`, "team");
      }
      case "encrypted":
        return new CompactEncrypt(Buffer.from(JSON.stringify(body)))
          .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: this.#kid })
          .encrypt(createPublicKey(this.#teamKey));
      default:
        return this.#compact(head, body, how);
    }
  }

  #header(parameters: Parts): Parts {
    const own = createPublicKey(this.#otherKey).export({ format: "jwk" });
    const given = parameters["jwk"] === "own" ? { ...parameters, jwk: own } : parameters;
    return withoutNulls({ alg: "RS256", kid: this.#kid, typ: "JWT", ...given });
  }

  #claims(claims: Parts): Parts {
    const now = Math.floor(Date.now() / 1000);
    const usual = {
      ...{ type: "app", email: this.#email, sub: HOSTILE.sub, iss: this.#issuer, aud: [this.#audience] },
      ...{ iat: now, nbf: now, exp: now + LIFETIME_SECONDS },
    };
    return withoutNulls({ ...usual, ...(this.#fill(claims, now) as Parts) });
  }

  /**
   * Expands an entry's values: `+60` and `-60` are seconds from now, `'60` is the text 60, `x*3` is `xxx`.
   */
  #fill(value: unknown, now: number): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#fill(each, now));
    if (typeof value === "object" && value !== null) {
      const entries = Object.entries(value).map(
        ([key, each]) => [this.#fill(key, now), this.#fill(each, now)] as const,
      );
      return Object.fromEntries(entries);
    }
    if (typeof value !== "string") return value;
    if (/^[+-]\d+$/.test(value)) return now + Number(value);
    if (value.startsWith("'")) return value.slice(1);
    const repeated = /^(.)\*(\d+)$/.exec(value);
    if (repeated?.[1] !== undefined) return repeated[1].repeat(Number(repeated[2]));
    return value.replaceAll("{{issuer}}", this.#issuer).replaceAll("{{audience}}", this.#audience);
  }

  #compact(header: Parts, payload: Parts | string, how: string): string {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    const input = `${base64url(JSON.stringify(header))}.${base64url(text)}`;
    return `${input}.${base64url(this.#signature(how, Buffer.from(input), header))}`;
  }

  #signature(how: string, input: Buffer, header: Parts): Buffer {
    const publicKey = createPublicKey(this.#teamKey);
    const jwk = publicKey.export({ format: "jwk" });
    const hmac = (secret: string) =>
      createHmac(header["alg"] === "HS512" ? "sha512" : "sha256", secret)
        .update(input)
        .digest();
    switch (how) {
      case "team":
        return sign("sha256", input, this.#teamKey);
      case "team-rs384":
        return sign("sha384", input, this.#teamKey);
      case "other":
        return sign("sha256", input, this.#otherKey);
      case "none":
        return Buffer.alloc(0);
      case "junk":
        return Buffer.alloc(256, 7);
      case "zeros":
        return Buffer.alloc(header["alg"] === "ES256" ? 64 : 256);
      case "hmac-pem":
        return hmac(publicKey.export({ type: "spki", format: "pem" }).toString());
      case "hmac-jwk":
        return hmac(JSON.stringify(jwk));
      case "hmac-n":
        return hmac(String(jwk["n"]));
      case "hmac-empty":
        return hmac("");
      default:
        throw new Error(`the corpus names an unknown way to sign: ${how}`);
    }
  }
}

function withoutNulls(parts: Parts): Parts {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== null));
}
