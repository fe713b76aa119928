/** The policy for the terminal player alone: see `trustedTemplates` in ../../build.ts. */
import { ASSETS } from "../address.ts";

/** What TypeScript's DOM library does not declare yet. */
interface TrustedTypes {
  createPolicy<Rules extends object>(name: string, rules: Rules): Rules;
}

const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };

const rules = {
  createHTML: (text: string) => text,
  createScriptURL: (address: string) => {
    if (!address.startsWith(ASSETS)) throw new TypeError(`${address} is no script of the console`);
    return address;
  },
};

/** As in the header of worker/console/headers.ts. A browser without trusted types needs none. */
const policy = trustedTypes?.createPolicy("sallyport-player", rules) ?? rules;

/** @param text a template of the player's own source, never anything of a recording */
export function trustedTemplate(text: string): string {
  return policy.createHTML(text);
}

/** @param address of a file of the console */
export function trustedScript(address: string): string {
  return policy.createScriptURL(address);
}
