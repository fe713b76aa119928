/** The Access fake's key set. It is created at the first start and kept, so that the edge sees one team. */
import { randomBytes } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { exportJWK } from "jose";
import { z } from "zod";
import type { ServiceToken } from "../access/front.ts";
import type { AccessSettings } from "../access/tokens.ts";
import { readJsonIfAny, writeFileAtomically } from "./files.ts";

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};
const TEN_YEARS_MS = 10 * 365 * 24 * 60 * 60 * 1000;

/** An RSA key as a JWK. Loose, because the private key has further members. */
const rsaKey = z.looseObject({
  kid: z.string().min(1),
  kty: z.literal("RSA"),
  alg: z.literal("RS256"),
  use: z.literal("sig"),
  n: z.string(),
  e: z.string(),
});
const certificate = z.object({ kid: z.string(), cert: z.string() });
const keyFile = z.object({
  audiences: z.object({ host: z.string().min(1), admin: z.string().min(1) }),
  serviceToken: z.object({ clientId: z.string().min(1), clientSecret: z.string().min(1) }),
  signingKey: rsaKey.extend({ d: z.string() }),
  certs: z.object({ keys: z.array(rsaKey).min(1), public_cert: certificate, public_certs: z.array(certificate) }),
});

/**
 * Everything that the fake signs with, except its address, which each start decides; and its service token.
 */
export type AccessKeys = Omit<AccessSettings, "issuer"> & { readonly serviceToken: ServiceToken };

/** Reads the stored keys, or creates and stores new ones. */
export async function loadAccessKeys(path: string): Promise<AccessKeys> {
  const kept = keyFile.safeParse(readJsonIfAny(path));
  if (kept.success) return kept.data;
  const made = await makeAccessKeys();
  writeFileAtomically(path, `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

async function makeAccessKeys(): Promise<AccessKeys> {
  const kid = randomBytes(32).toString("hex");
  const pair = await crypto.subtle.generateKey(RSA, true, ["sign", "verify"]);
  const labels = { kid, alg: "RS256", use: "sig" };
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Sallyport local Access fake",
    keys: pair,
    signingAlgorithm: RSA,
    notAfter: new Date(Date.now() + TEN_YEARS_MS),
  });
  const publicCert = { kid, cert: cert.toString("pem") };
  return {
    // Like the real ones: opaque tags of 64 hexadecimal digits.
    audiences: { host: randomBytes(32).toString("hex"), admin: randomBytes(32).toString("hex") },
    serviceToken: {
      clientId: `${randomBytes(16).toString("hex")}.access`,
      clientSecret: randomBytes(32).toString("hex"),
    },
    signingKey: { ...(await exportJWK(pair.privateKey)), ...labels },
    certs: {
      keys: [{ ...(await exportJWK(pair.publicKey)), ...labels }],
      public_cert: publicCert,
      public_certs: [publicCert],
    },
  };
}
