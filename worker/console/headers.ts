/** What the console's pages may do in a browser. Each page, file and page of a refusal has these headers. */
import { CONSOLE_ASSETS_PATH } from "../surfaces.ts";

/** The name of the only policy of trusted types: what the terminal player's own templates go through. */
const PLAYER_POLICY = "sallyport-player";

/** Features of browsers, of which the console needs none. */
const PERMISSIONS = [
  "accelerometer",
  "autoplay",
  "camera",
  "display-capture",
  "encrypted-media",
  "geolocation",
  "gyroscope",
  "hid",
  "idle-detection",
  "local-fonts",
  "magnetometer",
  "microphone",
  "midi",
  "payment",
  "picture-in-picture",
  "publickey-credentials-get",
  "screen-wake-lock",
  "serial",
  "storage-access",
  "usb",
  "xr-spatial-tracking",
]
  .map((feature) => `${feature}=()`)
  .concat("clipboard-write=(self)", "fullscreen=(self)")
  .join(", ");

/**
 * Makes the headers of one of the console's pages or files.
 *
 * @param url of the request
 */
export function consoleHeaders(url: URL): Record<string, string> {
  return {
    "Content-Security-Policy": contentSecurityPolicy(url),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    // For browsers that do not know `frame-ancestors`.
    "X-Frame-Options": "DENY",
  };
}

/**
 * The console's own files are named by their path: `'self'` would let a page load as a script what a workload
 * answers on the same host name. The player is compiled WebAssembly.
 */
function contentSecurityPolicy({ host, protocol }: URL): string {
  // Sources cannot name an IPv6 address, which only the local stack can have.
  const isNameable = !host.startsWith("[");
  const files = isNameable ? `${host}${CONSOLE_ASSETS_PATH}` : "'self'";
  const webSockets = `${protocol === "http:" ? "ws" : "wss"}://${host}/-/`;
  const api = isNameable ? `${host}/-/ ${webSockets}` : "'self'";
  return [
    "default-src 'none'",
    `script-src ${files} 'wasm-unsafe-eval'`,
    `style-src ${files}`,
    `worker-src ${files}`,
    `img-src ${files}`,
    `connect-src ${api}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    `trusted-types ${PLAYER_POLICY}`,
  ].join("; ");
}
