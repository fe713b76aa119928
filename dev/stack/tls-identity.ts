/** The local certificate authority and the one certificate that it has issued. */
import * as x509 from "@peculiar/x509";
import { z } from "zod";
import { readJsonIfAny, writeFileAtomically } from "./files.ts";

const EC = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
/** The longest validity of a server certificate that all clients accept. */
const LEAF_DAYS = 397;
const RENEW_DAYS_BEFORE = 30;

const identityFile = z.object({
  ca: z.object({ cert: z.string(), key: z.string() }),
  leaf: z.object({ cert: z.string(), key: z.string() }),
});

/** PEM. */
export type TlsIdentity = z.output<typeof identityFile>;

/** Reads the stored identity. Creates and stores what is missing or about to expire. */
export async function loadTlsIdentity(path: string, now: Date): Promise<TlsIdentity> {
  const read = identityFile.safeParse(readJsonIfAny(path));
  const kept = read.success ? read.data : undefined;
  if (kept && isFresh(kept.ca.cert, now) && isFresh(kept.leaf.cert, now)) return kept;
  const ca = kept && isFresh(kept.ca.cert, now) ? kept.ca : await makeAuthority(now);
  const identity = { ca, leaf: await makeLeaf(ca, now) };
  writeFileAtomically(path, `${JSON.stringify(identity, null, 2)}\n`);
  return identity;
}

function isFresh(pem: string, now: Date): boolean {
  return new x509.X509Certificate(pem).notAfter.getTime() - now.getTime() > RENEW_DAYS_BEFORE * DAY_MS;
}

async function makeAuthority(now: Date): Promise<TlsIdentity["ca"]> {
  const keys = await makeKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Sallyport local CA",
    keys,
    signingAlgorithm: SIGNING,
    ...validity(now, AUTHORITY_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      // Strict verifiers (Python 3.13, OpenSSL's x509_strict) require both key identifiers.
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: cert.toString("pem"), key: await privatePem(keys.privateKey) };
}

async function makeLeaf(ca: TlsIdentity["ca"], now: Date): Promise<TlsIdentity["leaf"]> {
  const authority = new x509.X509Certificate(ca.cert);
  const der = x509.PemConverter.decodeFirst(ca.key);
  const keys = await makeKeys();
  const cert = await x509.X509CertificateGenerator.create({
    subject: "CN=localhost",
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: await crypto.subtle.importKey("pkcs8", der, EC, false, ["sign"]),
    signingAlgorithm: SIGNING,
    ...validity(now, LEAF_DAYS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: cert.toString("pem"), key: await privatePem(keys.privateKey) };
}

function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
}

async function privatePem(key: CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), x509.PemConverter.PrivateKeyTag);
}

/** Valid from an hour ago, because a virtual machine's clock may be behind. */
function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - 60 * 60 * 1000), notAfter: new Date(now.getTime() + days * DAY_MS) };
}
