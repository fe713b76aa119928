/** How every connection to a deployment, and to Access, is made. */
import { Agent, type AgentOptions } from "node:https";
import { rootCertificates } from "node:tls";

/**
 * @param certificateAuthority PEM that is trusted beside the public authorities
 * @returns an agent that keeps connections for the next request
 */
export function makeAgent(certificateAuthority: string | undefined): Agent {
  const options: AgentOptions = {
    keepAlive: true,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: a token goes to a verified server only.
    rejectUnauthorized: true,
    // HTTPS_PROXY and NO_PROXY, as kubectl has them. Node.js before 24.5 does not know this, and connects directly.
    proxyEnv: process.env,
  };
  // Only then: the list replaces what NODE_EXTRA_CA_CERTS adds.
  return new Agent(
    certificateAuthority === undefined ? options : { ...options, ca: [...rootCertificates, certificateAuthority] },
  );
}
