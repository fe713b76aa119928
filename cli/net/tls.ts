/** How every connection to a deployment, and to Access, is made. */
import { readFileSync } from "node:fs";
import { Agent, type AgentOptions } from "node:https";
import * as tls from "node:tls";

/**
 * @param certificateAuthority PEM that is trusted beside the authorities that Node.js trusts by itself
 * @returns an agent that keeps connections for the next request
 */
export function makeAgent(certificateAuthority: string | undefined): Agent {
  const options: AgentOptions = {
    keepAlive: true,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: a token goes to a verified server only.
    rejectUnauthorized: true,
    // HTTPS_PROXY and NO_PROXY, as kubectl has them. Node.js before 24.5 does not know this, and connects
    // directly.
    proxyEnv: process.env,
  };
  return new Agent(
    certificateAuthority === undefined ? options : { ...options, ca: [...trustedByDefault(), certificateAuthority] },
  );
}

/** A list of one's own replaces what Node.js trusts by itself, so that is in it, too. */
function trustedByDefault(): readonly string[] {
  // With NODE_EXTRA_CA_CERTS, and the system's where somebody has asked for them. Node.js before 22.15 has no
  // such function.
  if (typeof tls.getCACertificates === "function") return tls.getCACertificates("default");
  const extra = extraAuthorities(process.env["NODE_EXTRA_CA_CERTS"]);
  return extra === undefined ? tls.rootCertificates : [...tls.rootCertificates, extra];
}

/** Node.js itself warns of a file that it cannot read, and goes on. */
function extraAuthorities(path: string | undefined): string | undefined {
  if (!path) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
