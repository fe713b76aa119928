import type { Verb } from "./verb.ts";
import { credential } from "./verbs/credential.ts";

/** Every verb, in the order of help. */
export const VERBS: readonly Verb[] = [credential];
