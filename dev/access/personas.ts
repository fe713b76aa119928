/** The people whom the local Access fake can make of a request. Each has a kubeconfig context. */
export interface Persona {
  readonly email: string;
  /** Subject of the tokens. Fixed, so that a user's Durable Object survives a new key set. */
  readonly sub: string;
  /** Sent as the custom claim `groups`, as an identity provider would. */
  readonly groups: readonly string[];
}

export const PERSONAS = {
  alice: { email: "alice@example.com", sub: "6f0b4d1e-52f3-4b0e-9d0a-0a11ce000001", groups: ["developers"] },
  bob: { email: "bob@example.com", sub: "6f0b4d1e-52f3-4b0e-9d0a-000b0b000002", groups: ["viewers"] },
  admin: { email: "admin@example.com", sub: "6f0b4d1e-52f3-4b0e-9d0a-00ad31000003", groups: [] },
  /** Signed in, but matched by no rule, to show a refusal. */
  mallory: { email: "mallory@example.net", sub: "6f0b4d1e-52f3-4b0e-9d0a-3a1104000004", groups: [] },
} as const satisfies Record<string, Persona>;

export type PersonaName = keyof typeof PERSONAS;

/** In the order of their ports. */
export const PERSONA_NAMES = Object.keys(PERSONAS) as readonly PersonaName[];
