/** A key made here and a certificate of the cluster's own authority for it: nobody but its holder can be this person. */
import * as x509 from "@peculiar/x509";
import type { Access } from "./access.ts";

const EC = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

export interface KeyAndRequest {
  /** PEM, PKCS #8. */
  readonly key: string;
  /** PEM, PKCS #10. */
  readonly request: string;
}

/** The API server reads the user from the common name and the groups from the organisations (X.509 client certificates). */
export async function makeRequest({ identity }: Pick<Access, "identity">): Promise<KeyAndRequest> {
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

/** As a bare string the library would read `#…` as the bytes of any value, `system:masters` among them. */
const exactly = (name: string) => ({ utf8String: name });

/** The request as the cluster takes it. */
export function requestObject({ id, reason, by, from, until }: Access, request: string): object {
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

/** Until when a certificate is good, and for whom: what the cluster made may be something else than what was asked for. */
export function readCertificate(pem: string): {
  readonly notAfter: number;
  readonly user: string;
  readonly groups: string[];
} {
  const { notAfter, subjectName } = new x509.X509Certificate(pem);
  return {
    notAfter: notAfter.getTime(),
    user: subjectName.getField("CN")[0] ?? "",
    groups: subjectName.getField("O"),
  };
}
