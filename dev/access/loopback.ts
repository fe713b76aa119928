const LOOPBACK_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i;

/**
 * @returns whether a request was addressed to this machine by a name that nobody can point elsewhere
 *
 * Checks both places, because an absolute-form request target can disagree with the Host header.
 */
export function isLoopbackHost(hostHeader: string | null, url: string): boolean {
  return hostHeader !== null && LOOPBACK_HOST.test(hostHeader) && LOOPBACK_HOST.test(new URL(url).host);
}
