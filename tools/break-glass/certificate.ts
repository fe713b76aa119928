/** A key that is made here, and a certificate of the cluster's own authority for it. */
import * as x509 from "@peculiar/x509";
import type { Grant } from "./grant.ts";

const EC = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

export interface KeyAndRequest {
  /** PEM, PKCS #8. */
  readonly key: string;
  /** PEM, PKCS #10. */
  readonly request: string;
}

/** The API server reads the user from the common name and the groups from the organizations. */
export async function makeCertificateRequest({ identity }: Pick<Grant, "identity">): Promise<KeyAndRequest> {
  const keys = await crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name([
      { CN: [exactly(identity.user)] },
      ...identity.groups.map((group) => ({ O: [exactly(group)] })),
    ]),
    keys,
    signingAlgorithm: SIGNING,
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"), request: request.toString("pem") };
}

/**
 * The library reads a bare string `#…` as encoded bytes, which may spell any name, `system:masters` included.
 */
const exactly = (name: string) => ({ utf8String: name });

/** The CertificateSigningRequest for the cluster. @param request PEM, PKCS #10 */
export function signingRequest({ id, reason, by, from, until }: Grant, request: string): object {
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: `break-glass-${id}`, annotations: { "sallyport/reason": reason, "sallyport/by": by } },
    spec: {
      request: Buffer.from(request).toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client",
      expirationSeconds: Math.round((until - from) / 1000),
      usages: ["client auth"],
    },
  };
}

export interface CertificateFacts {
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  readonly user: string;
  readonly groups: readonly string[];
}

/** @param pem a certificate */
export function readCertificate(pem: string): CertificateFacts {
  const { notAfter, subjectName } = new x509.X509Certificate(pem);
  return {
    notAfter: notAfter.getTime(),
    user: subjectName.getField("CN")[0] ?? "",
    groups: subjectName.getField("O"),
  };
}
