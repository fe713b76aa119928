/** The browser of these tests, if this machine has one. */
export { CHROMIUM, withoutBrowser } from "../../../dev/programs/chromium.ts";
