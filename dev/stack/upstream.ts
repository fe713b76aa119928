export interface Upstream {
  /** Normalised, without a trailing slash. */
  readonly url: string;
  /** `host:port`, as the runtime connects to it. */
  readonly address: string;
  /** Requests leave this machine unencrypted. */
  readonly remote: boolean;
}

/**
 * Parses the address of a `kubectl proxy`. The fault completes a sentence that begins with the flag's name.
 */
export function parseUpstream(text: string): Upstream | { readonly fault: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:") {
    return { fault: 'must be http://: let "kubectl proxy" speak TLS and hold the credentials, and name its address' };
  }
  if (url?.protocol !== "http:") return { fault: "must be a URL such as http://127.0.0.1:8001" };
  if (url.username || url.password) return { fault: "must not carry credentials" };
  if (url.pathname !== "/" || url.search || url.hash) {
    return { fault: "must be an address only, without a path: API paths reach the cluster as they come" };
  }
  const remote = !/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname);
  return { url: `http://${url.host}`, address: `${url.hostname}:${url.port || "80"}`, remote };
}
