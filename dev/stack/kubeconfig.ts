import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";

/** The namespace of the embedded cluster's pods. */
const NAMESPACE = "demo";

export interface KubeconfigInput {
  readonly servers: Readonly<Record<PersonaName, string>>;
  /** The personas' addresses for a second cluster. */
  readonly second?: Readonly<Record<PersonaName, string>> | undefined;
  /** PEM of the certificate authority of `https:` servers. */
  readonly certificateAuthority?: string;
}

/**
 * Renders a kubeconfig with one context per persona. It has no credentials: the address decides who the user
 * is.
 */
export function renderKubeconfig({ servers, second, certificateAuthority }: KubeconfigInput): string {
  const authority =
    certificateAuthority === undefined
      ? ""
      : `\n      certificate-authority-data: ${Buffer.from(certificateAuthority).toString("base64")}`;
  // Over TLS kubectl prompts for a user name when it has no credentials. The edge drops this token.
  const user = certificateAuthority === undefined ? "{}" : "{token: not-used-by-the-local-stack}";
  const each = (render: (name: string, person: PersonaName, server: string) => string) =>
    [
      ...PERSONA_NAMES.map((name) => render(name, name, servers[name])),
      ...(second ? PERSONA_NAMES.map((name) => render(`${name}-second`, name, second[name])) : []),
    ].join("\n");
  return `# Written by Sallyport's local stack at every start. Using a context means being that person.
apiVersion: v1
kind: Config
current-context: alice
preferences: {}
clusters:
${each((name, _, server) => `  - name: sallyport-${name}\n    cluster:\n      server: ${server}${authority}`)}
users:
${PERSONA_NAMES.map((name) => `  - name: ${name}\n    user: ${user}`).join("\n")}
contexts:
${each((name, person) => `  - name: ${name}\n    context: {cluster: sallyport-${name}, user: ${person}, namespace: ${NAMESPACE}}`)}
`;
}
